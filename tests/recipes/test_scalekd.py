"""ScaleKD from the command line: live, from a cache of target maps, resumed, exported, and refused in words."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgekd.models.small import resnet8
from edgekd.runs import Run
from tests.recipes.test_methods import stop_at_validation

TEACHER = "custom-student-pictures"
SCALE = ("distill", "--method", "scalekd", "--student", "resnet8")
PARTS = ("tpp_direct", "tpp_alternative", "direct", "alternative", "kd")
TRANSFORMER = """
from timm.models.vision_transformer import VisionTransformer


def build(classes, channels, input_size):
    return VisionTransformer(input_size, 8, channels, classes, embed_dim=24, depth=4, num_heads=2)
"""


def first_row(place: Path, run: str) -> dict[str, float]:
    return json.loads((place / "runs" / run / "metrics.jsonl").read_text().splitlines()[0])


def test_live_and_from_a_cache_of_target_maps(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    (copy / "net.py").write_text(TRANSFORMER)
    # at a usual rate three steps enlarge what the cache's 16 bits leave out to whole percents
    own = ("--trust-code", "--teacher", "vit", "--lr", 0.001)
    assert cli("train-teacher", "--model", "./net.py:build", "--name", "vit", "--data", folder, *quick).code == 0
    called = cli(*SCALE, *quick, *own, "--name", "cached", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == "cache/vit", called.err
    plan = json.loads((copy / "cache" / "vit" / "plan.json").read_text())
    # the last map, and the class token where the last stage begins
    assert plan["extras"] == {"map:stage4": [24, 4, 4], "prefix:stage3": [1, 24]}
    assert cli(*SCALE, *quick, *own, "--live", "--view-seed", plan["views"]["seed"], "--name", "live").code == 0
    cached, live = (first_row(copy, name) for name in ("cached", "live"))
    for part in PARTS:
        assert cached[part] > 0 and cached[part] == pytest.approx(live[part], rel=2e-3)
    # without its run a cache gives maps, not the last stage
    shutil.move(copy / "runs" / "vit", copy / "elsewhere")
    called = cli(*SCALE, *quick, "--cache", "vit", "--name", "x")
    assert called.code == 3 and "is not there" in called.err and "restore the run" in called.err
    called = cli(*SCALE, *quick, "--cache", "vit", "--set", "tpp=off", "--name", "x")
    assert called.code == 0, called.err


def test_a_cache_is_made_for_it(cli: Any, copy: Path, quick: Any) -> None:
    made = ("cache-logits", "--for", "scalekd", "--student", "resnet8", "--teacher", TEACHER, "--views", 1)
    assert cli(*made, "--name", "maps", "--store", "topk", "--topk", 2, "--threads", 1).code == 0
    called = cli(*SCALE, *quick, "--cache", "maps", "--name", "x", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == "cache/maps", called.err


@pytest.mark.parametrize("how", [(), ("--live",)])
def test_it_is_resumed_exactly(
    cli: Any, copy: Path, quick: Any, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("distill", "--method", "scalekd", *quick, *how, "--teacher", TEACHER, "--epochs", 2)
    assert cli(*options, "--name", "whole").code == 0
    whole, cut = (Run(copy / "runs" / name) for name in ("whole", "cut"))
    with monkeypatch.context() as patch:
        stop_at_validation(2, patch)
        assert cli(*options, "--name", "cut").code == 130
    state = torch.load(cut.last, weights_only=True)["update"]["objective"]
    assert any(name.startswith("method.early.direct") for name in state)
    assert not any("tail" in name or "rest" in name for name in state)
    called = cli("distill", "--name", "cut", "--resume")
    assert called.code == 0, called.err
    assert whole.weights.read_bytes() == cut.weights.read_bytes()


def test_projectors_are_counted_apart_and_the_student_is_the_plain_network(cli: Any, copy: Path, quick: Any) -> None:
    called = cli(*SCALE, *quick, "--teacher", TEACHER, "--live", "--name", "x")
    assert called.code == 0 and "parameters of the method, not kept" in called.out, called.err
    run = Run(copy / "runs" / "x")
    network = resnet8(len(run.manifest()["data"]["classes"]), 3)
    network.load_state_dict(load_file(run.weights), strict=True)
    assert run.manifest()["params"] == sum(each.numel() for each in network.parameters())
    # four projectors; 32 channels of the teacher, 32 and 64 of the student
    assert run.manifest()["method_params"] == 2 * (projector(32, 16, 32, 1024) + projector(64, 8, 32, 0))
    called = cli("export", "x", "--json")
    assert called.code == 0, called.err
    assert cli("distill", "--method", "kd", *quick, "--live", "--name", "y").code == 0
    assert Run(copy / "runs" / "y").manifest()["method_params"] == 0


def projector(channels: int, side: int, width: int, queries: int) -> int:
    """Parameters by hand: stem, position, learned queries, five linear maps, layer norm, two layers."""
    stem = 9 * channels**2 + channels + 2 * channels
    attention = 3 * (width**2 + width) + 2 * (channels * width + width)
    layers = 2 * width + 8 * width**2 + 4 * width + width
    return stem + channels * side**2 + queries * width + attention + layers


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (("--cache", TEACHER), "features:stage2", "--for scalekd"),
        (("--cache", TEACHER, "--set", "tpp=off"), "feature maps, which this teacher does not give", "--live"),
        (("--live", "--set", "cap=off"), "cap=off", "tpp=off"),
        (("--live", "--set", "heads4=5"), "heads4=5", "give one of"),
        (("--live", "--set", "head=5"), "no setting 'head'", "heads"),
        (("--data", "pictures", "--peers", "tiny-cnn"), "which a peer still trains", "--teacher"),
    ],
)
def test_what_cannot_work_is_said(
    cli: Any, copy: Path, folder: Path, quick: Any, options: tuple[object, ...], problem: str, hint: str
) -> None:
    options = tuple(folder if each == "pictures" else each for each in options)
    called = cli(*SCALE, *quick, *options, "--name", "x")
    assert called.code == 2 and problem in called.err and hint in called.err, called.err
    assert not (copy / "runs" / "x").exists()
