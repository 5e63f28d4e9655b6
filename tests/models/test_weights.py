"""Weight files: what is read, and how each kind of misfit is told."""

import argparse
import re
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgekd.errors import CheckpointError
from edgekd.models.build import build
from edgekd.models.network import Network
from edgekd.models.weights import apply_body, apply_weights, build_for, classes_in, load_weights


@pytest.fixture
def network(images: Any) -> Network:  # noqa: ANN401
    return build("tiny-cnn", images)


@pytest.fixture
def saved(network: Network, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(network.backbone.state_dict(), path)
    return path


def test_safetensors_come_back_as_they_were(saved: Path, network: Network) -> None:
    state = load_weights(saved)
    assert state.keys() == network.backbone.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in network.backbone.state_dict().items())


@pytest.mark.parametrize("wrap", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module.model.", "model.module."])
def test_wrappings_and_prefixes_come_off(network: Network, tmp_path: Path, wrap: str, prefix: str) -> None:
    state: dict[str, Any] = {prefix + name: value + 1 for name, value in network.backbone.state_dict().items()}
    path = tmp_path / "w.pth"
    torch.save({wrap: state, "epoch": 3} if wrap else state, path)
    before = network.backbone.state_dict()["head.weight"].clone()
    assert classes_in(network, load_weights(path)) == len(network.spec.classes)
    apply_weights(network, load_weights(path), "w.pth")
    assert torch.equal(network.backbone.state_dict()["head.weight"], before + 1)


def test_a_prefix_that_is_the_networks_own_stays(network: Network) -> None:
    network.backbone = nn.Sequential(OrderedDict(model=network.backbone))
    own = network.backbone.state_dict()
    for prefix in ("", "module."):
        apply_weights(network, {prefix + name: value.clone() for name, value in own.items()}, "w.pt")


def test_counters_of_batch_norms_may_be_missing(network: Network) -> None:
    own = network.backbone.state_dict()
    given = {name: value + 1 for name, value in own.items() if not name.endswith("num_batches_tracked")}
    assert len(given) < len(own)
    apply_weights(network, given, "w.pt")
    assert torch.equal(network.backbone.state_dict()["head.weight"], given["head.weight"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("content", [b"", b"these are not weights\n", b"\x80\x02}q\x00."])
def test_a_file_of_another_kind_is_told(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model{suffix}"):
        load_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_cut_file_is_told(saved: Path, tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".pt":
        torch.save(load_weights(saved), whole)
    else:
        whole = saved
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="cut short"):
        load_weights(cut)


def test_a_pickled_object_is_never_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "net.pt")
    with pytest.raises(CheckpointError) as error:
        load_weights(tmp_path / "net.pt")
    assert "state_dict" in error.value.hint


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such weight file"):
        load_weights(tmp_path / "gone.pt")


def test_weights_arrive_in_the_network(saved: Path, images: Any) -> None:  # noqa: ANN401
    state, other = load_weights(saved), build("tiny-cnn", images)
    apply_weights(other, state, "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in other.backbone.state_dict().items())


def test_another_architecture_names_what_is_missing(saved: Path, images: Any) -> None:  # noqa: ANN401
    with pytest.raises(CheckpointError, match=r"m\.st: not weights of resnet8 \(\d+ missing, first"):
        apply_weights(build("resnet8", images), load_weights(saved), "m.st")


def test_another_width_names_the_first_shape(network: Network) -> None:
    state = network.backbone.state_dict() | {"stem.0.weight": torch.zeros(1, 3, 3, 3)}
    with pytest.raises(CheckpointError, match="not weights of tiny-cnn"):
        apply_weights(network, {name: value[:1] for name, value in state.items() if value.ndim}, "x")


def test_other_classes_are_told_as_numbers(saved: Path, grey: Any, images: Any) -> None:  # noqa: ANN401
    three = build("tiny-cnn", replace(images, classes=("a", "b", "c")))
    with pytest.raises(CheckpointError, match="classifier has 10 classes, the data has 3"):
        apply_weights(three, load_weights(saved), "x")


def test_the_body_fits_whatever_the_classes(saved: Path, images: Any) -> None:  # noqa: ANN401
    three, state = build("tiny-cnn", replace(images, classes=("a", "b", "c"))), load_weights(saved)
    apply_body(three, state, "x")
    own = three.backbone.state_dict()
    assert classes_in(three, state) == 10
    assert all(torch.equal(own[name], state[name]) for name in own if not name.startswith("head."))


@pytest.mark.parametrize("start", ["scratch", "weights"])
def test_the_shapes_tell_which_variant_the_weights_are_of(images: Any, start: Any) -> None:  # noqa: ANN401
    trained = build("vit_tiny", images, start=start)
    found = build_for("vit_tiny", images, trained.backbone.state_dict(), "x")
    assert found.spec == trained.spec
    apply_weights(found, trained.backbone.state_dict(), "x")


def test_weights_of_no_variant_are_refused(saved: Path, images: Any) -> None:  # noqa: ANN401
    with pytest.raises(CheckpointError, match="not weights of vit_tiny_patch16_224"):
        build_for("vit_tiny", images, load_weights(saved), "x")


SCRIPTS = {
    "torchvision": ("model", "", {"optimizer": {}, "epoch": 3, "args": argparse.Namespace(lr=0.1)}),
    "timm": ("state_dict", "", {"arch": "x", "args": argparse.Namespace(lr=0.1), "version": 2, "metric": 1.0}),
    "numpy": ("model", "", {"epoch": 3, "best": np.float64(0.9)}),
    "path": ("model", "", {"path": Path("x")}),
    "lightning": ("state_dict", "net.", {"hyper_parameters": {"lr": 0.1}}),
    "data-parallel": ("state_dict", "module.encoder.", {}),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_checkpoints_of_training_scripts_are_taken(network: Network, tmp_path: Path, script: str) -> None:
    key, prefix, beside = SCRIPTS[script]
    own = network.backbone.state_dict()
    torch.save({key: {prefix + name: value + 1 for name, value in own.items()}, **beside}, tmp_path / "w.pth")
    before = {name: value.clone() for name, value in own.items()}
    assert apply_weights(network, load_weights(tmp_path / "w.pth"), "w.pth") == []
    assert all(torch.equal(value, before[name] + 1) for name, value in network.backbone.state_dict().items())


@pytest.mark.parametrize(
    ("plain", "averaged", "prefix", "more"),
    [
        ("state_dict", "state_dict_ema", "", {}),
        ("model", "model_ema", "module.", {"n_averaged": torch.tensor(3)}),
        ("model", "ema", "", {}),
        ("state_dict", "ema_state_dict", "module.", {}),
    ],
)
def test_averaged_weights_are_preferred_and_told(
    network: Network, tmp_path: Path, plain: str, averaged: str, prefix: str, more: dict[str, torch.Tensor]
) -> None:
    own = network.backbone.state_dict()
    saved = {
        plain: {name: torch.zeros_like(value) for name, value in own.items()},
        averaged: {prefix + name: value + 1 for name, value in own.items()} | more,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}},
    }
    torch.save(saved, tmp_path / "w.pth")
    before = own["head.weight"].clone()
    notes = apply_weights(network, load_weights(tmp_path / "w.pth"), "w.pth")
    assert torch.equal(network.backbone.state_dict()["head.weight"], before + 1)
    place = f"{averaged}.{prefix}".removesuffix(".")
    assert notes[0] == f"w.pth: its averaged weights ({place}) are taken"
    left = [f"{plain}.* ({len(own)} tensors)"] + [f"{averaged}.{name}" for name in more]
    assert notes[1] == "w.pth: not taken: " + ", ".join([*left[:1], *left[1:], "optimizer.state.0.step"])


def test_averaged_weights_that_lack_statistics_are_not_taken(network: Network) -> None:
    own = network.backbone.state_dict()
    parts = {f"ema.{name}": value + 1 for name, value in own.items() if "running" not in name}
    state = {f"model.{name}": value.clone() for name, value in own.items()} | parts
    before = own["head.weight"].clone()
    apply_weights(network, state, "w.pth")
    assert torch.equal(network.backbone.state_dict()["head.weight"], before)


def test_names_left_over_are_listed(network: Network) -> None:
    state = {f"net.{name}": value for name, value in network.backbone.state_dict().items()}
    state |= {"criterion.weight": torch.ones(3), "net.head_dist.weight": torch.ones(2, 2)}
    assert apply_weights(network, state, "x") == ["x: not taken: criterion.weight, net.head_dist.weight"]


def test_a_deeper_network_is_not_taken_in_part(network: Network) -> None:
    state = dict(network.backbone.state_dict())
    deeper = {re.sub(r"\d+", "97", name, count=1): value for name, value in state.items() if re.search(r"\d", name)}
    with pytest.raises(CheckpointError, match=r"unknown, first \w+\.97"):
        apply_weights(network, state | deeper, "x")
