"""One image file becomes a canvas: any mode and shape to a square of 8-bit grey or RGB pixels."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

VERSION = 1
"""Raised when the same file would give other pixels; it is part of decoded copies and fingerprints."""

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
    + (".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga")
)
"""File names which count as images, in lower case."""

Aspect = Literal["crop", "pad", "squash"]
"""How an image becomes square: its centre cut out, set on grey in full, or both sides scaled to one."""

PADDING: dict[str, int | tuple[int, ...]] = {
    "L": 128,
    "LA": (128, 255),
    "RGB": (128, 128, 128),
    "RGBA": (128, 128, 128, 255),
}
"""What is beside an image that is padded, by Pillow's mode."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_MEASURED_SIDE = 128


class BadImage(Exception):
    """A file's content is not an image that can be used; the message says why."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Decompression bombs raise and Pillow's other warnings are silent; wraps all threads that decode."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(content: bytes, side: int, channels: int, aspect: Aspect = "crop", grey_bits: int = 16) -> NDArray[np.uint8]:
    """A file's bytes as canvas `[side, side, channels]`: upright, made square as `aspect` says, resized.

    Transparent parts become white, of an animation the first frame is taken. Wide grey values of 0 to
    2**grey_bits - 1 become 0 to 255. Raises BadImage for anything which does not decode in full.
    """
    with _opened(content) as image:
        upright = _eight_bits(_upright(image), grey_bits)
        square = _square(upright, side, aspect)
        return np.asarray(_flat(square, channels), np.uint8).reshape(side, side, channels)


class MeasuredCanvas(NamedTuple):
    """An image's sides in pixels, whether it is all grey, its largest value, and whether that is of 16 bits, not 8."""

    width: int
    height: int
    is_grey: bool
    largest: int
    is_wide: bool


def measure(content: bytes) -> MeasuredCanvas:
    """What an image is like; raises BadImage."""
    with _opened(content) as image:
        width, height = _upright_size(image)
        if image.mode in _SIXTEEN_BITS:
            return MeasuredCanvas(width, height, True, int(np.asarray(image).max()), True)
        image.draft("RGB", (_MEASURED_SIDE, _MEASURED_SIDE))
        plain = _eight_bits(image, 16)
        pixels = np.asarray(_flat(plain, 1 if plain.mode in ("L", "LA") else 3))
        is_grey = pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())
        return MeasuredCanvas(width, height, is_grey, int(pixels.max()), False)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            _refuse_bomb(image)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"decompression bomb: it claims more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels") from error
    except BadImage:
        raise
    # Pillow's readers raise nearly every built-in exception on damaged files
    except Exception as error:
        raise BadImage(_reason(error, content)) from error


def _refuse_bomb(image: Image.Image) -> None:
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def _reason(error: Exception, content: bytes) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of an unknown format"
    return f"damaged: {error or type(error).__name__}"


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    # a damaged EXIF block does not make the pixels worse: the picture is then taken as it lies
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # a damaged EXIF block is ignored here as it is in decoding
    try:
        lies = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception:
        lies = False
    return (image.height, image.width) if lies else image.size


def _eight_bits(image: Image.Image, grey_bits: int) -> Image.Image:
    """The image in a mode that can be resized: L, LA, RGB or RGBA."""
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image.convert("RGBA") if image.mode == "RGB" and "transparency" in image.info else image
    if image.mode in _SIXTEEN_BITS:
        most = 2**grey_bits - 1
        wide = np.clip(np.asarray(image).astype(np.int64), 0, most)
        return Image.fromarray(((wide * 255 + most // 2) // most).astype(np.uint8))
    if image.mode == "F":
        raise BadImage("floating-point pixels have no agreed range; save it with 8 or 16 bits")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def _square(image: Image.Image, side: int, aspect: Aspect) -> Image.Image:
    """The image as a square of this side."""
    if aspect == "crop" or image.width == image.height:
        return _cut(image, side)
    if aspect == "squash":
        return image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    longest = max(image.size)
    width, height = (max(1, round(each * side / longest)) for each in image.size)
    ground = Image.new(image.mode, (side, side), PADDING[image.mode])
    inner = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    ground.paste(inner, ((side - width) // 2, (side - height) // 2))
    return ground


def _cut(image: Image.Image, side: int) -> Image.Image:
    """The centre square, resized with antialiasing; a square of the right size stays as it is."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    box = (left, top, left + short, top + short)
    if short == side:
        return image.crop(box)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """Transparency over white, then grey or RGB."""
    if image.mode in ("LA", "RGBA"):
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)
    return image.convert("L" if channels == 1 else "RGB")


def reform(pixels: NDArray[np.uint8], side: int, channels: int) -> NDArray[np.uint8]:
    """Pixels in memory `[height, width]` or `[height, width, 3]` as canvas `[side, side, channels]`."""
    square = _cut(Image.fromarray(pixels), side)
    return np.asarray(_flat(square, channels), np.uint8).reshape(side, side, channels)
