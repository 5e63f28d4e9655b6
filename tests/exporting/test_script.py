"""The script beside a model: the same class and the same logits as edgekd, without edgekd."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgekd.cli.app import main
from edgekd.exporting.onnx import fix_batch, write_onnx
from edgekd.exporting.script import script_of, text_for
from edgekd.images.canvas import decode
from edgekd.runtimes.predictor import open_predictor

CLASSES = ["left over", "naïve", "数据"]


def pictures(folder: Path) -> list[Path]:
    """Images of every mode and shape that decoding treats in its own way."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = rng.integers(0, 65536, (33, 20)).astype(np.uint16)
    whole = colours.convert("RGBA")
    whole.putalpha(Image.fromarray(rng.integers(0, 256, (40, 56), dtype=np.uint8)))
    saved = {
        "plain.png": (colours, {}),
        "large.jpg": (colours.resize((700, 500)), {"quality": 90}),
        "turned.jpg": (colours, {"exif": turned}),
        "grey.png": (colours.convert("L"), {}),
        "grey-alpha.png": (whole.convert("LA"), {}),
        "alpha.png": (whole, {}),
        "palette.gif": (colours.convert("P"), {}),
        "palette-transparent.png": (colours.convert("P"), {"transparency": 3}),
        "key.png": (colours, {"transparency": (1, 2, 3)}),
        "bits.png": (colours.convert("1"), {}),
        "sixteen.png": (Image.fromarray(wide), {}),
        "print.jpg": (colours.convert("CMYK"), {}),
        "square.png": (colours.resize((24, 24)), {}),
    }
    for name, (image, options) in saved.items():
        image.save(folder / name, **options)
    return [folder / name for name in saved]


@pytest.mark.parametrize(
    ("name", "channels", "side", "more"),
    [
        ("model.onnx", 3, 24, {}),
        ("grey.onnx", 1, 33, {"grey_bits": 12}),
        ("o'k.onnx", 3, 17, {"aspect": "pad"}),
        ("squash.onnx", 1, 24, {"aspect": "squash"}),
    ],
)
def test_class_and_logits_are_edgekds(
    tmp_path: Path, name: str, channels: int, side: int, more: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    model = tmp_path / name
    record = {"classes": CLASSES, "channels": channels, "canvas": 24, "input_size": side, "params": 1}
    record |= more | {"mean": [0.4] * channels, "std": [0.2] * channels}
    write_onnx(nn.Sequential(*layers), torch.zeros(2, channels, side, side), model, 18, record)
    if more.get("aspect") == "squash":
        fix_batch(model, 3)
    script_of(model).write_text(text_for(model, record), encoding="utf-8")
    paths = pictures(tmp_path)
    # no edgekd to be found, and nothing of this environment but its packages
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONUTF8": "1"}
    start = f"runpy.run_path({str(script_of(model))!r}, run_name='__main__')"
    code = f"import sys, runpy; sys.modules['edgekd'] = None; {start}"
    done = subprocess.run(
        [sys.executable, "-c", code, "--logits", *map(str, paths)],
        capture_output=True, encoding="utf-8", env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    predictor = open_predictor(str(model), 1)
    expected = predictor.logits(np.stack([decode(path.read_bytes(), 24, channels, **more) for path in paths]))
    assert [row[0] for row in rows] == [str(path) for path in paths]
    assert [row[1] for row in rows] == [CLASSES[number] for number in expected.argmax(1)]
    assert np.abs(np.array([row[3:] for row in rows], np.float32) - expected).max() < 1e-5 * np.abs(expected).max()
    shares = np.exp(expected - expected.max(1, keepdims=True))
    assert [row[2] for row in rows] == [f"{each:.2%}" for each in (shares / shares.sum(1, keepdims=True)).max(1)]


def test_the_script_is_short(tmp_path: Path) -> None:
    code = [
        line
        for line in text_for(tmp_path / "model.onnx", {"canvas": 32, "input_size": 32}).splitlines()
        if line.strip()
    ]
    assert len(code) < 45 and max(map(len, code)) <= 120


def test_it_says_what_predict_says(
    at_work: Path, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = at_work / "runs" / "tiny-cnn-from-custom-student-pictures-finetuned" / "model.onnx"
    images = sorted((folder / "test").rglob("*.png"))
    done = subprocess.run([sys.executable, model.with_name("predict.py"), *images], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["predict", str(model), *map(str, images), "--json"]) == 0
    said = [each["top"][0] for each in json.loads(capsys.readouterr().out)["images"]]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1:] for row in rows] == [[each["class"], f"{each['probability']:.2%}"] for each in said]
