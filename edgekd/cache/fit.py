"""Whether a cache belongs to this teacher, these classes and these views; what does not fit is named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.cache.plan import CachePlan
from edgekd.errors import CacheError
from edgekd.runs import environment

TEACHER = {"sha256": "weights", "code": "code", "feeding": "resize and normalisation"}
COMPUTING = ("torch", "torchvision", "timm", "numpy", "pillow", "onnxruntime")
"""Packages whose version may change the last bits of what a teacher says."""


def check_fit(
    folder: Path,
    plan: CachePlan,
    teacher: Mapping[str, Any] | None,
    data: Mapping[str, Any],
    views: Mapping[str, Any],
) -> None:
    """Raise CacheError when the cache was made from another teacher, other classes or other views; says which part.

    A teacher of None is not compared (a cache can be used without its teacher). Images: `listing.match`.
    """
    differs = []
    for key, words in TEACHER.items() if teacher is not None else ():
        if teacher and teacher.get(key) != plan.teacher.get(key):
            differs.append(f"teacher {words} ({plan.teacher['name']} when it was made, {teacher['name']} now)")
    for key in ("canvas", "channels"):
        if data[key] != plan.data[key]:
            differs.append(f"{key} ({plan.data[key]} there, {data[key]} here)")
    if data["classes"] != plan.data["classes"]:
        differs.append(f"classes ({len(plan.data['classes'])} there, {len(data['classes'])} here, or other names)")
    names = {*plan.views, *views}
    changed = [
        f"{key} ({plan.views.get(key, 'off')} there, {views.get(key, 'off')} here)"
        for key in sorted(names)
        if plan.views.get(key) != views.get(key)
    ]
    if changed:
        differs.append("views: " + ", ".join(changed))
    if differs:
        raise CacheError(
            f"{folder}: does not fit: " + "; ".join(differs),
            "edgekd cache-logits --overwrite with the same options makes it anew, --name NAME makes another beside it",
        )


def plan_differences(plan: CachePlan, other: CachePlan) -> list[str]:
    """In words, all that makes the rows of two plans differ; empty when their digests are equal."""
    one, two = plan.deciding(), other.deciding()
    found = [f"teacher {words}" for key, words in TEACHER.items() if one["teacher"][key] != two["teacher"][key]]
    tables = {"": (one["data"], two["data"]), "views: ": (one["views"], two["views"])}
    for words, (left, right) in tables.items():
        names = [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]
        found += [f"{words}{name} ({_short(left.get(name))} and {_short(right.get(name))})" for name in names]
    for name, words in (("store", "store"), ("batch_size", "batch size"), ("compute", "format")):
        if one[name] != two[name]:
            found.append(f"{words} ({_short(one[name])} and {_short(two[name])})")
    return found


def _short(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "off"
    if isinstance(value, list):
        return f"{len(value)} of them" if len(value) > 3 else " ".join(str(each) for each in value if each)
    return str(value)


def other_versions(versions: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """In words, which of the packages that compute have another version now; those not installed do not count."""
    return [
        f"{name} {versions[name]} then, {now[name]} now"
        for name in COMPUTING
        if name in versions and name in now and versions[name] != now[name]
    ]


def version_warning(folder: Path, plan: CachePlan) -> str | None:
    """What to warn of when the cache was made with other library versions than there are now, else None."""
    changed = other_versions(plan.compute.get("versions", {}), environment()["packages"])
    if not changed:
        return None
    return f"{folder}: made with other versions ({'; '.join(changed)}); edgekd cache verify {folder.name} compares"
