"""Every kind of teacher teaches every kind of student from the command line."""

from pathlib import Path
from typing import Any

import pytest

from edgekd.cli.app import main

NETS = """
from timm.models.mlp_mixer import MlpMixer
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer


def cnn(classes, channels):
    return ResNet(BasicBlock, (1, 1, 1, 1), classes, channels, channels=(8, 12, 16, 20), stem_width=8)


def vit(classes, channels, input_size):
    return VisionTransformer(input_size, 4, channels, classes, embed_dim=24, depth=4, num_heads=2)


def swin(classes, channels, input_size):
    return SwinTransformer(
        input_size, 2, channels, classes, embed_dim=12, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2), window_size=4
    )


def mixer(classes, channels, input_size):
    return MlpMixer(classes, input_size, channels, 8, 4, 32)
"""
KINDS = ("cnn", "vit", "swin", "mixer")
QUICK = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--epochs", 1, "--batch-size", 9)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A working folder with a small teacher of every kind."""
    place = tmp_path_factory.mktemp("pairings")
    (place / "net.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for kind in KINDS:
            options = ("--model", f"./net.py:{kind}", "--data", folder, "--name", kind, "--input-size", 64, *QUICK)
            assert main(["train-teacher", *map(str, options), "--quiet"]) == 0
    return place


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kd", "ofa", "scalekd"])
@pytest.mark.parametrize("teacher", KINDS)
@pytest.mark.parametrize("student", KINDS)
def test_every_pair_trains(
    cli: Any, teachers: Path, monkeypatch: pytest.MonkeyPatch, student: str, teacher: str, method: str
) -> None:
    monkeypatch.chdir(teachers)
    pair = ("--student", f"./net.py:{student}", "--teacher", teacher, "--trust-code", "--method", method)
    called = cli("distill", *pair, *QUICK, "--live", "--name", f"{student}-{teacher}-{method}", "--json")
    assert called.code == 0, called.err
    assert called.json["steps"] > 0 and called.json["method_params"] > 0 or method == "kd"
