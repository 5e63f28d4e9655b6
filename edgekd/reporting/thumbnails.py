"""Canvases as small pictures inside a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
"""Largest side, pixels."""
LOSSLESS = 40
"""Up to this side PNG is as small as JPEG."""


def thumbnail(canvas: NDArray[np.uint8]) -> str:
    """A canvas [side, side, channels] as a data URI of a few kB."""
    image = Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else np.ascontiguousarray(canvas[..., :3]))
    image.thumbnail((SIDE, SIDE))
    kind = "PNG" if image.width <= LOSSLESS else "JPEG"
    stream = io.BytesIO()
    image.save(stream, kind, **({} if kind == "PNG" else {"quality": 80}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
