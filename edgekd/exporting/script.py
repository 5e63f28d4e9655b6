"""`predict.py` beside an exported model: what an application needs to ask it, without edgekd."""

from pathlib import Path
from typing import Any

_TEXT = '''\
"""Classes of images by {model}: python {script} [--logits] IMAGE... (needs numpy, Pillow and onnxruntime)."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(str(Path(__file__).with_name("{model}")), providers=["CPUExecutionProvider"])
name, batch = session.get_inputs()[0].name, session.get_inputs()[0].shape[0]
facts = json.loads(session.get_modelmeta().custom_metadata_map["edgekd"])


def read(path):
    """An upright image made square at the canvas's side, transparency over white: uint8 [side, side, C]."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # {bits} bits a pixel
        wide = np.clip(np.asarray(image).astype(np.int64), 0, {most})
        image = Image.fromarray(((wide * 255 + {half}) // {most}).astype(np.uint8))
    elif image.mode in ("PA", "La", "RGBa") or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    side = facts["canvas"]
{square}
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("L" if facts["channels"] == 1 else "RGB")).reshape(side, side, -1)


def prepare(pixels):
    """What the model takes, of its size and normalised: float32 [1, C, size, size]."""
    pixels = np.moveaxis(pixels, 2, 0)[None].astype(np.float32)
{resize}    mean, std = (np.float32(facts[key]).reshape(1, -1, 1, 1) * 255 for key in ("mean", "std"))
    return (pixels - mean) / std


for path in [each for each in sys.argv[1:] if each != "--logits"]:
    inputs = np.repeat(prepare(read(path)), batch if isinstance(batch, int) else 1, 0)
    logits = session.run(None, {{name: inputs}})[0][0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    values = logits if "--logits" in sys.argv else []
    print(path, facts["classes"][logits.argmax()], f"{{shares.max():.2%}}", *values, sep="\\t")
'''

_SQUARE = {
    "crop": """\
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    image = image.crop(box) if short == side else image.resize((side, side), Image.Resampling.BICUBIC, box, 3.0)""",
    "squash": """\
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)""",
    "pad": """\
    size = [max(1, round(each * side / max(image.size))) for each in image.size]
    inner = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    ground = {"L": 128, "LA": (128, 255), "RGB": (128, 128, 128), "RGBA": (128, 128, 128, 255)}
    image = Image.new(image.mode, (side, side), ground[image.mode])
    image.paste(inner, ((side - size[0]) // 2, (side - size[1]) // 2))""",
}
"""By `aspect`: how an image becomes square."""

_RESIZE = """\
    scale = pixels.shape[-1] / facts["input_size"]
    centres = ((np.arange(facts["input_size"]) + 0.5) * scale)[:, None]
    weights = np.maximum(0, 1 - np.abs(np.arange(pixels.shape[-1]) + 0.5 - centres) / max(scale, 1))
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    pixels = weights @ pixels @ weights.T
"""


def script_of(model: Path) -> Path:
    """Where it lies: `predict.py` beside model.onnx, `NAME.predict.py` beside another name."""
    return model.with_name("predict.py" if model.name == "model.onnx" else f"{model.stem}.predict.py")


def text_for(model: Path, record: dict[str, Any]) -> str:
    """The script's text for a model with this metadata; class names, sides and normalisation it reads from the file."""
    bits = record.get("grey_bits") or 16
    most = 2**bits - 1
    return _TEXT.format(
        model=_escaped(model.name),
        script=_escaped(script_of(model).name),
        resize=_RESIZE if record["canvas"] != record["input_size"] else "",
        square=_SQUARE[record.get("aspect") or "crop"],
        bits=bits,
        most=most,
        half=most // 2,
    )


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
