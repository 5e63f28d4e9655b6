"""Which model names there are, from tables and the text of timm's files: a wrong one is refused without torch."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edgekd.errors import UsageError, nearest
from edgekd.models.shape_names import shape_of
from edgekd.models.usual import ROWS
from edgekd.reading import at_home

OWN_NAMES = tuple(row.name for row in ROWS if row.source == "edgekd")
HUB = ("hf-hub:", "hf_hub:")
"""What timm writes before the name of a model at Hugging Face."""

SHORT: dict[str, str] = {
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "vit_base": "vit_base_patch16_224",
    "vit_large": "vit_large_patch16_224",
    "deit_tiny": "deit_tiny_patch16_224",
    "deit_small": "deit_small_patch16_224",
    "deit_base": "deit_base_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "swin_small": "swin_small_patch4_window7_224",
    "swin_base": "swin_base_patch4_window7_224",
    "mixer_small": "mixer_s16_224",
    "mixer_base": "mixer_b16_224",
    "mobilenetv1": "mobilenetv1_100",
    "mobilenetv2": "mobilenetv2_100",
    "mobilenetv3_small": "mobilenetv3_small_100",
    "mobilenetv3_large": "mobilenetv3_large_100",
    "mobilenetv4_small": "mobilenetv4_conv_small",
}
"""Short names: each also works with what timm appends to a name after a dot, the pretrained tag."""
_MODEL = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
_FORMER = re.compile(r"register_model_deprecations\(__name__, \{(.*?)\}\)", re.DOTALL)
_KEY = re.compile(r"""['"](\w+)['"]\s*:""")


@cache
def timm_names() -> tuple[frozenset[str], frozenset[str]]:
    """timm's names of today and its former ones, read from its files, not imported; empty where timm is missing."""
    try:
        spec = find_spec("timm")
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return frozenset(), frozenset()
    texts = [path.read_text(encoding="utf-8") for path in (Path(spec.origin).parent / "models").glob("*.py")]
    now = (name for text in texts for name in _MODEL.findall(text))
    former = (name for text in texts for table in _FORMER.findall(text) for name in _KEY.findall(table))
    return frozenset(now), frozenset(former)


def check_model(name: str, option: str = "") -> None:
    """Raise UsageError for a name that no network has, and for a file of the user's that is not there.

    Whether timm has weights of a tag (what stands after the dot), timm alone can say.
    """
    if is_file(name):
        path = at_home(name.rsplit(":", 1)[0])
        if not path.is_file():
            raise UsageError(f"{option} {path}: no such file".strip(), "give ./net.py:function")
        return
    base = without_hub(name).partition(".")[0]
    if name in OWN_NAMES or base in SHORT or shape_of(name) is not None:
        return
    now, former = timm_names()
    if now and base not in now and base not in former:
        raise no_such_model(name, option)


def no_such_model(name: str, option: str = "") -> UsageError:
    """In words: there is no network of this name, given as `option`."""
    said = f"{option} {name}".strip()
    if ".py" in name:
        return UsageError(f"{said}: a network file needs its function's name", "for example ./net.py:build")
    if name.startswith(HUB):
        hint = "of the hub only timm/NAME is known; give another one's weights as a file (--teacher-weights, --weights)"
        return UsageError(f"{said}: not one of timm's models", hint)
    known = [*OWN_NAMES, *SHORT, *timm_names()[0]]
    return UsageError(f"{said}: no such model", f"{nearest(without_hub(name), known)}; `edgekd models '*'` lists all")


def is_file(name: str) -> bool:
    """Whether the name means a function in the user's own file: `./net.py:build`."""
    return ".py:" in name


def without_hub(name: str) -> str:
    """The model's name out of `timm/NAME` and `hf-hub:timm/NAME`, as the hub and timm write it."""
    bare = next((name.removeprefix(each) for each in HUB if name.startswith(each)), name)
    return bare.removeprefix("timm/") if bare.startswith("timm/") else name
