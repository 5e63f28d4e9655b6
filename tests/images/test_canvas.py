import io

import numpy as np
import pytest
from PIL import Image

from edgekd.images.canvas import Aspect, BadImage, decode, measure, reform

RED = (200, 30, 40)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def corner_marked(width: int, height: int) -> Image.Image:
    """Black with a white upper left quarter."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = 255
    return Image.fromarray(pixels)


def test_a_square_of_the_right_size_is_taken_bit_by_bit() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(decode(saved(Image.fromarray(pixels), "WEBP", lossless=True), 32, 3), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "PA"])
def test_every_mode_becomes_a_canvas(mode: str) -> None:
    image = Image.new("RGB", (40, 50), RED)
    form = {"CMYK": "TIFF", "YCbCr": "TIFF", "I": "TIFF", "PA": "TIFF"}.get(mode, "PNG")
    image = image.convert("L").convert(mode) if mode in ("I;16", "I") else _converted(image, mode)
    for channels in (1, 3):
        assert decode(saved(image, form), 16, channels).shape == (16, 16, channels)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("P").convert(mode) if mode == "PA" else image.convert(mode)


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGBA"])
def test_colours_survive_their_mode(mode: str) -> None:
    image = Image.new("RGB", (32, 32), RED)
    content = saved(image.quantize(4) if mode == "P" else image.convert(mode), "TIFF")
    assert np.abs(decode(content, 32, 3).astype(int) - RED).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut(form: str) -> None:
    wide = np.full((32, 32), 32_768, np.uint16)
    wide[0, 0], wide[0, 1] = 65_535, 0
    canvas = decode(saved(Image.fromarray(wide), form), 32, 1)
    assert canvas[0, :3, 0].tolist() == [255, 0, 128]


def test_transparent_parts_become_white() -> None:
    clear = Image.new("RGBA", (32, 32), (10, 20, 30, 0))
    assert (decode(saved(clear), 32, 3) == 255).all()
    assert (decode(saved(clear.convert("LA")), 32, 1) == 255).all()


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert (decode(saved(image, transparency=1), 32, 3) == 255).all()


def test_exif_turns_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(saved(corner_marked(32, 32), "PNG", exif=exif), 32, 3)
    assert turned[4, 28].tolist() == [255] * 3
    assert turned[4, 4].tolist() == [0] * 3


def test_the_centre_of_a_wide_picture_is_cut_out() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = RED
    assert (decode(saved(Image.fromarray(pixels)), 10, 3) == RED).all()
    assert (decode(saved(Image.fromarray(pixels.transpose(1, 0, 2).copy())), 10, 3) == RED).all()


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, (0, 0, 255))]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, 32, 3)[0, 0, 0] > 150


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not an image at all", "not an image"),
        (saved(corner_marked(64, 64), "JPEG")[:-200], "damaged"),
        (saved(corner_marked(64, 64), "PNG")[:-40], "damaged"),
        (saved(Image.new("F", (8, 8)), "TIFF"), "floating-point"),
    ],
)
def test_what_is_no_whole_image_is_told_in_words(content: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words):
        decode(content, 32, 3)


@pytest.mark.parametrize("side", [100, 150])
def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 90)
    with pytest.raises(BadImage, match="decompression bomb"):
        decode(saved(Image.new("L", (side, side))), 32, 3)


def test_any_damage_is_a_bad_image_or_a_canvas_and_nothing_else() -> None:
    dice = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        whole = np.frombuffer(saved(corner_marked(40, 40), form), np.uint8)
        for _ in range(40):
            broken = whole.copy()
            broken[dice.integers(0, len(whole), 6)] = dice.integers(0, 256, 6)
            try:
                assert decode(broken.tobytes(), 32, 3).shape == (32, 32, 3)
            except BadImage as error:
                assert str(error)


def test_measuring_finds_size_grey_and_largest_value() -> None:
    assert measure(saved(corner_marked(300, 200), "PNG")) == (300, 200, True, 255, False)
    assert measure(saved(Image.new("RGB", (20, 30), RED), "PNG")) == (20, 30, False, 200, False)
    assert measure(saved(Image.new("I;16", (20, 30), 4000))) == (20, 30, True, 4000, True)


def test_measuring_turns_the_sides_as_decoding_does() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert measure(saved(Image.new("RGB", (20, 30), RED), "JPEG", exif=exif))[:2] == (30, 20)


def test_padding_keeps_the_whole_image_on_grey() -> None:
    canvas = decode(saved(Image.new("RGB", (40, 20), RED)), 20, 3, "pad")
    assert (canvas[:5] == 128).all()
    assert (canvas[15:] == 128).all()
    assert (canvas[5:15] == RED).all()


def test_squashing_keeps_the_whole_image_without_a_border() -> None:
    image = Image.new("RGB", (40, 20), RED)
    image.paste((0, 0, 0), (0, 0, 20, 20))
    canvas = decode(saved(image), 20, 3, "squash")
    assert (canvas[:, :8] == 0).all()
    assert (canvas[:, 12:] == RED).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("aspect", ["crop", "pad", "squash"])
def test_every_mode_becomes_square_in_every_way(mode: str, aspect: Aspect) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    content = saved(Image.new(mode, (9, 4)), form)
    assert decode(content, 16, 3, aspect).shape == (16, 16, 3)


@pytest.mark.parametrize("aspect", ["pad", "squash"])
def test_a_square_image_is_the_same_in_every_way(aspect: Aspect) -> None:
    content = saved(corner_marked(40, 40))
    assert np.array_equal(decode(content, 20, 3, aspect), decode(content, 20, 3))


def test_twelve_bits_in_sixteen_fill_the_range_of_a_byte() -> None:
    ramp = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    assert decode(saved(ramp), 64, 1).max() == 16
    taken = decode(saved(ramp), 64, 1, grey_bits=12).ravel()
    assert (taken[0], taken[-1]) == (0, 255)
    assert len(np.unique(taken)) == 256


def test_pixels_in_memory_take_the_same_way() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    assert np.array_equal(reform(pixels, 32, 1), decode(saved(Image.fromarray(pixels)), 32, 1))
