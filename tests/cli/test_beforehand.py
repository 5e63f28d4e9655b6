"""What is refused or answered from files and tables alone, in processes that report what they imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
from timm.models._registry import get_deprecated_models

from edgekd.models.known import OWN_NAMES, check_model, timm_names
from edgekd.models.names import OWN, resolve

HEAVY = ("torch", "torchvision", "timm", "onnx", "onnxruntime", "numpy")
REFUSED = [
    ("train-teacher --model resnet99", 2, "--model resnet99: no such model"),
    ("train-teacher --model ./no.py:build", 2, "no.py: no such file"),
    ("train-teacher --weights no.pt", 3, "--weights no.pt: no such weight file"),
    ("train-teacher --data nowhere", 3, "--data nowhere: no such data set or folder"),
    ("train-teacher --data ./nowhere", 3, "--data ./nowhere: no such folder"),
    ("train-teacher --name a/b", 2, "--name a/b: not a plain name"),
    ("train-teacher --name begun", 2, "this run was begun and is not finished"),
    ("train-teacher --name x --resume", 3, "there is no run"),
    ("distill", 3, "no finished teacher there"),
    ("distill --method kkd", 2, "--method kkd: no such method"),
    ("distill --method ./no.py", 2, "--method ./no.py: no such file"),
    ("distill --student tinycnn", 2, "nearest: tiny-cnn"),
    ("distill --student-weights no.pt", 3, "--student-weights no.pt: no such weight file"),
    ("distill --peers tiny-cnn,tinycnn", 2, "--peers tinycnn: no such model"),
    ("distill --teacher resnet99", 2, "--teacher resnet99: no such model"),
    ("distill --teacher no.onnx", 3, "--teacher no.onnx: no such file"),
    ("distill --teacher begun", 3, "begun: not finished"),
    ("distill --cache no", 3, "no: no such cache in cache"),
    ("distill --dry-run --device no", 3, "--device no: no such profile"),
    ("cache-logits --for kkd", 2, "--for kkd: no such method"),
    ("cache-logits --teacher resnet18 --teacher-weights no.pt", 3, "--teacher-weights no.pt: no such weight file"),
    ("finetune", 3, "no finished run there"),
    ("finetune no", 3, "no: no such run in runs"),
    ("export no", 3, "no: no such run in runs"),
    ("evaluate no", 3, "no: no such run in runs"),
    ("report", 3, "no finished run there"),
    ("report no", 3, "no: no such run in runs"),
    ("predict no x.png", 3, "no: no such run in runs"),
    ("cache status no", 3, "no: no such cache in cache"),
    ("cache rm", 2, "cache rm: which one?"),
    ("runs show no", 3, "no: no such run in runs"),
    ("runs rm", 2, "runs rm: which one?"),
    ("runs ls", 0, "1 runs in runs"),
    ("runs compare", 2, "which ones?"),
    ("cache ls", 0, "0 caches in cache"),
    ("models", 0, "tiny-cnn"),
    ("methods", 0, "scalekd"),
]
SCRIPT = """
import os, sys
from edgekd.cli.app import main
for line in sys.argv[1:]:
    print("<", line, flush=True)
    code = main(line.split())
    print(">", code, *sorted(set(HEAVY) & set(sys.modules)), flush=True)
""".replace("HEAVY", repr(HEAVY))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process said to each line, one after the other: had any imported torch, so would those after it."""
    place = tmp_path_factory.mktemp("place")
    begun = place / "runs" / "begun"
    begun.mkdir(parents=True)
    (begun / "manifest.json").write_text('{"format": 1, "command": "train-teacher", "status": "running"}')
    command = [sys.executable, "-c", SCRIPT, *(line for line, _, _ in REFUSED)]
    done = subprocess.run(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ, check=True
    )
    parts = [part.partition("\n") for part in done.stdout.split("< ")[1:]]
    return {line: rest for line, _, rest in parts}


@pytest.mark.parametrize(("line", "code", "words"), REFUSED, ids=[line for line, _, _ in REFUSED])
def test_it_is_told_without_torch_or_numpy(told: dict[str, str], line: str, code: int, words: str) -> None:
    said, _, end = told[line].rpartition("> ")
    assert words in " ".join(said.split()) and end.strip() == str(code), told[line]


def test_the_names_read_from_timms_files_are_timms() -> None:
    now, former = timm_names()
    assert now == set(timm.list_models()) and former == set(get_deprecated_models())
    assert tuple(OWN) == OWN_NAMES


@pytest.mark.parametrize(
    "name", ["tiny-cnn", "plain-w16-d3-k3", "vit_large", "tv_resnet34", "timm/resnet18.a1_in1k", "hf-hub:timm/resnet18"]
)
def test_what_is_a_model_passes(name: str) -> None:
    check_model(name)
    assert resolve(name)


def test_a_name_taken_by_a_folder_of_the_users_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "thesis.pdf").touch()
    command = [sys.executable, "-m", "edgekd", "train-teacher", "--name", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2 and "is not a run, so it is left alone" in done.stderr
