"""Holds the tree of the design: a module imports from its own package or lower layers, and start-up stays light."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgekd
from edgekd.cli.commands import COMMANDS

ROOT = Path(edgekd.__file__).parent
LAYERS = {
    "": 0, "errors": 0.1, "cores": 0.1, "values": 0.15, "reading": 0.15, "shortage": 0.15,
    "manifest": 0.2, "declaration": 0.2, "runs": 0.25, "writing": 0.26, "ranks": 0.26, "config": 0.3, "report": 0.3,
    "images": 1, "runtimes": 1.1, "profiling": 1.2, "quantization": 1.5,
    "data": 2, "models": 2.1, "compute": 2.2, "cache": 2.3, "methods": 2.3,
    "teachers": 3, "objectives": 3.1, "training": 3.2, "exporting": 3.2, "reporting": 3.2,
    "recipes": 4, "studies": 4.1, "cli": 5, "__main__": 6,
}  # fmt: skip
HEAVY = {"torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors"}
TORCH_FREE = (
    "errors", "cores", "values", "reading", "shortage", "manifest", "declaration", "config", "report", "runs",
    "writing", "ranks",
    "images", "runtimes", "profiling",
)  # fmt: skip
MODULES = sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} if node.module != "edgekd" else {f"edgekd.{each.name}" for each in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_or_lower_layers(path: Path) -> None:
    own = package_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "edgekd":
            continue
        other = parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""
        assert other == own or LAYERS[other] < LAYERS[own], f"{own} imports {name}"


def test_every_recipe_is_a_subcommand() -> None:
    found = {path.stem for path in (ROOT / "recipes").glob("*.py")} - {"__init__"}
    found |= {"study", "search", "fit"} & {path.stem for path in (ROOT / "studies").glob("*.py")}
    assert found == {command.replace("-", "_") for command in COMMANDS}


@pytest.mark.parametrize("path", [p for p in MODULES if package_of(p) in TORCH_FREE], ids=lambda p: p.name)
def test_measuring_and_images_need_no_torch(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stand_at_the_top(path: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for each in functions for node in ast.walk(each))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    # config.py is one flat table of options, which splitting would only make harder to search
    assert len(path.read_text().splitlines()) <= (900 if path.name == "config.py" else 320)
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager", "base"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    return done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["distill", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from edgekd.cli.app import main; "
        f"main({arguments!r}); "
        "heavy = {'torch','torchvision','timm','onnx','onnxruntime','numpy'} & set(sys.modules); "
        "print('HEAVY', sorted(heavy))"
    )
    assert "HEAVY []" in run_python(code)
