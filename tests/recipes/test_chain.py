"""The bare commands find one another's output; every result is one JSON object."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd.config import Evaluate
from edgekd.runs import Run
from edgekd.runtimes.evaluation import complete
from edgekd.runtimes.predictor import open_predictor


def manifest(place: Path, run: str) -> dict[str, Any]:
    return json.loads((place / "runs" / run / "manifest.json").read_text())


STUDENT = "tiny-cnn-from-custom-student-pictures"


def test_each_command_found_the_one_before(workplace: Path) -> None:
    assert sorted(each.name for each in (workplace / "runs").iterdir()) == sorted(
        ["custom-student-pictures", STUDENT, f"{STUDENT}-finetuned"]
    )
    assert [each.name for each in (workplace / "cache").iterdir()] == ["custom-student-pictures"]
    assert (workplace / "runs" / f"{STUDENT}-finetuned" / "model.onnx").is_file()


def test_every_artifact_names_its_parents(workplace: Path) -> None:
    teacher = manifest(workplace, "custom-student-pictures")
    student = manifest(workplace, STUDENT)
    tuned = manifest(workplace, f"{STUDENT}-finetuned")
    assert student["parents"]["teacher"]["sha256"] == teacher["weights_sha256"]
    assert student["parents"]["cache"]["path"] == "cache/custom-student-pictures"
    assert tuned["parents"]["start"]["sha256"] == student["weights_sha256"]
    session = onnxruntime.InferenceSession(str(workplace / "runs" / f"{STUDENT}-finetuned" / "model.onnx"))
    described = json.loads(session.get_modelmeta().custom_metadata_map["edgekd"])
    assert described["parents"]["weights_sha256"] == tuned["weights_sha256"]
    assert described["classes"] == ["disc", "frame", "stripes"]


def test_manifests_tell_what_was_really_used(workplace: Path) -> None:
    config = manifest(workplace, STUDENT)["config"]
    open_ones = ["epochs", "batch_size", "optimizer", "lr", "weight_decay", "crop", "flip", "view_seed", "threads"]
    assert all(config[name] is not None for name in open_ones)
    assert config["precision"] == "fp32" and config["memory_format"] == "channels-last"


@pytest.mark.parametrize(
    "command",
    [
        ["cache-logits", "--threads", "1"],
        ["evaluate"],
        ["evaluate", f"runs/{STUDENT}-finetuned/model.onnx"],
        ["predict", STUDENT, "{image}"],
        ["predict", f"runs/{STUDENT}-finetuned/model.onnx", "{image}"],
        ["distill", "--resume", "--name", STUDENT],
        ["profile", "--duration", "0.2", "--warmup", "0"],
        ["models", "custom*"],
        ["devices"],
        ["export", STUDENT, "--output", "{tmp}/other.onnx"],
    ],
    ids=lambda command: "-".join(command[:2]).replace("/", "."),
)
def test_stdout_is_exactly_one_json_object(
    cli: Any, at_work: Path, folder: Path, tmp_path: Path, command: list[str]
) -> None:
    image = next((folder / "test" / "disc").iterdir())
    called = cli(*(each.format(image=image, tmp=tmp_path) for each in command), "--json")
    assert called.code == 0 and isinstance(called.json, dict), called.err


def test_run_and_file_agree(cli: Any, at_work: Path) -> None:
    run = cli("evaluate", f"{STUDENT}-finetuned", "--json").json
    file = cli("evaluate", f"runs/{STUDENT}-finetuned/model.onnx", "--json").json
    assert run["top1"] == pytest.approx(file["top1"]) and run["count"] == file["count"] == 12


def test_a_run_can_be_repeated_from_its_manifest(cli: Any, at_work: Path) -> None:
    source = at_work / "runs" / STUDENT
    called = cli("distill", "--config", source / "manifest.json", "--name", "again", "--json")
    assert called.code == 0, called.err
    again = at_work / "runs" / "again" / "model.safetensors"
    assert again.read_bytes() == (source / "model.safetensors").read_bytes()
    shutil.rmtree(again.parent)  # the place of work is shared: other tests take the newest run


def test_a_file_is_evaluated_on_its_runs_own_split(cli: Any, at_work: Path, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(at_work / "runs" / f"{STUDENT}-finetuned", place)
    run = Run(place)
    data = run.manifest()["data"]
    run.update(data=data | {"options": data["options"] | {"split_seed": 7}})
    assert complete(Evaluate(model=str(run.onnx))).split_seed == 7
    assert complete(Evaluate(model=str(run.onnx), data=str(folder))).split_seed == 7
    assert complete(Evaluate(model=str(run.onnx), data=str(tmp_path))).split_seed == 0


def test_a_manifest_of_something_else_beside_a_file_is_not_asked(
    cli: Any, at_work: Path, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    shutil.copy(at_work / "runs" / f"{STUDENT}-finetuned" / "model.onnx", file)
    (tmp_path / "manifest.json").write_text('{"name": "a web application"}')
    assert cli("predict", file, next((folder / "test" / "disc").iterdir())).code == 0
    called = cli("evaluate", file)
    assert called.code == 2 and "which images?" in called.err


def test_a_file_of_fixed_batch_answers_any_number_of_images(at_work: Path, tmp_path: Path) -> None:
    file = at_work / "runs" / f"{STUDENT}-finetuned" / "model.onnx"
    model = onnx.load(file)
    for each in (*model.graph.input, *model.graph.output):
        each.type.tensor_type.shape.dim[0].dim_value = 5
    onnx.save(model, tmp_path / "fixed.onnx")
    canvases = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    found = [open_predictor(str(path), 1).logits(canvases) for path in (file, tmp_path / "fixed.onnx")]
    assert found[0].shape == (7, 3) and found[0] == pytest.approx(found[1], abs=1e-5)
