"""Every option of edgekd, once: a field here is the flag, the TOML key, the manifest key and the help text.

Groups (Data, Fit, ...) are shared by inheritance, so a command's options are flat and a recipe may hand its
whole config to whatever takes one of its groups.
"""

import math
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from edgekd.declaration import Options, flag, option
from edgekd.errors import MissingDependency, UsageError
from edgekd.ranks import place
from edgekd.reading import at_home

TORCHVISION_SETS = ("cifar10", "cifar100", "fashion-mnist", "food101", "imagenet")
"""Data sets that torchvision knows; `shapes` and folders need no torch."""


NETWORKS = ("model", "student", "teacher", "peers", "method", "for_")
"""Options that may name a Python file: a network, as ./net.py:build, or a method, as ./mine.py."""
MOST_VIEWS = 10_000
"""Of a cache; four digits name a view's folder."""
SHARD_HINT = "remove the old cache first: edgekd cache rm NAME"


@dataclass(frozen=True)
class Shell(Options):
    """How a command reads its options and speaks; every command has these."""

    config: Path | None = option(None, "TOML file or manifest.json with options; flags win over it", recorded=False)
    json: bool = option(False, "print the result as one JSON object on stdout", recorded=False)
    quiet: bool = option(False, "no progress and no notes on stderr; warnings and errors stay", recorded=False)
    debug: bool = option(False, "show the traceback of an expected error too", recorded=False)
    given: tuple[str, ...] = option((), "", recorded=False)
    """Names of the options that flags or the file gave, also where they are the default."""


@dataclass(frozen=True)
class Code(Options):
    """Whose network files run: those that the command names; with `trust_code` those that a record names, too."""

    trust_code: bool = option(
        False, "run the Python file that a run's record names for its network, where it is unchanged", recorded=False
    )
    from_record: tuple[str, ...] = option((), "", recorded=False)
    """Names of the options whose values were read from a record: the command does not name a file by them."""

    def is_named(self, path: Path) -> bool:
        """Whether the command itself names the network file at this resolved path."""
        given = [getattr(self, each, "") for each in NETWORKS if each not in self.from_record]
        values = [
            part for each in given for part in (",".join(each).split(",") if isinstance(each, tuple) else [str(each)])
        ]
        files = [value.partition(".py:")[0].removesuffix(".py") + ".py" for value in values if ".py" in value]
        return path in [at_home(each).resolve() for each in files]


@dataclass(frozen=True)
class Data(Options):
    """Which images, and the canvas they become."""

    data: str | None = option(
        None,
        "shapes, cifar10, cifar100, fashion-mnist, food101, imagenet, or a folder with train/<class>/*; none: only "
        "the images of --unlabelled; "
        "default: the data of the run or teacher given, else shapes",
    )
    data_dir: Path | None = option(None, "where downloaded data sets live; default ~/.cache/edgekd/data")
    canvas: int | None = option(
        None,
        "side of the square uint8 canvas every image becomes, pixels; default: by the data",
        low=8,
        high=1024,
    )
    channels: Literal["auto", "1", "3"] = option("auto", "colour channels of the canvas; auto: 1 if all grey")
    aspect: Literal["crop", "pad", "squash"] = option(
        "crop",
        "how images become square: the centre is cut out, the whole is set on grey, or squeezed",
    )
    grey_bits: Literal["auto", "8", "10", "12", "14", "16"] = option(
        "auto", "bits that 16-bit grey images use; auto: by the largest value in train"
    )
    val_fraction: float = option(0.1, "share of train kept for validation where there is no val/", low=0.001, high=0.5)
    split_seed: int = option(0, "seed of that split; keep it for teacher and student", low=0)
    unlabelled: Path | None = option(None, "folder of images without labels, distilled like the others")
    skip_bad_images: bool = option(False, "leave out images that cannot be read, and count them")
    decoded_cache: float = option(
        8.0, "GB on disk for decoded canvases, so that a second start is fast", low=0, high=1e6
    )
    limit: int | None = option(
        None, "use at most this many training images, and as many for validation and test (a quick trial)", low=2
    )
    label_fraction: float = option(
        1.0,
        "share of each class's training images that keep their labels, chosen by --split-seed; the others are taken as "
        "unlabelled; keep it for teacher and student",
        low=0.0001,
        high=1,
    )


@dataclass(frozen=True)
class Machine(Options):
    """What the work runs on and in which number format."""

    threads: int | None = option(
        None,
        "CPU threads; default: the cores this process may use, or a half, a quarter ... where a short trial shows "
        "that to be faster (evaluate: all)",
        low=1,
        high=1024,
    )
    torch_device: Literal["auto", "cpu", "cuda"] = option("auto", "where torch computes")
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp8"] = option(
        "auto",
        "number format; fp16: with loss scaling; fp8: linear layers and convolutions, simulated where the machine has "
        "none; auto: the faster of fp32 and bf16 in a short trial (evaluate: fp32)",
    )
    memory_format: Literal["auto", "channels-first", "channels-last"] = option(
        "auto", "layout of image tensors; auto: the fastest in a short trial (evaluate: channels-last)"
    )


@dataclass(frozen=True)
class Views(Options):
    """How an image is varied from pass to pass; what is left open is the cache's or the teacher's own, else usual."""

    crop: float | None = option(
        None,
        "random shifts by up to this share of the canvas, 0: off; default: by model, mostly 0.125",
        low=0,
        high=0.5,
    )
    flip: Literal["auto", "on", "off"] = option(
        "auto",
        "random left-right flips (--no-flip: off); auto: the teacher's or cache's own, else off where a look at the "
        "training images shows that mirroring changes the class",
    )
    resized_crop: float | None = option(
        None, "least share of the area in random crops (in place of shifts), as 0.35; default 0: off", low=0, high=1
    )
    randaugment: int | None = option(None, "random operations per image (RandAugment); default 0: off", low=0, high=10)
    magnitude: int | None = option(None, "strength of these operations; default 5", low=0, high=10)
    erase: float | None = option(None, "probability that a box is erased; default 0: off", low=0, high=1)
    mixup: float | None = option(None, "alpha of mixup: blended with another image; default 0: off", low=0, high=100)
    cutmix: float | None = option(None, "alpha of CutMix: a box of another image; default 0: off", low=0, high=100)
    mix_share: float | None = option(None, "probability that an image is mixed at all; default 1", low=0, high=1)
    plain_view: bool | None = option(None, "view 0 is the unvaried canvas; default: off")
    view_seed: int | None = option(None, "seed of the views; default: the cache's, else --seed", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop and self.resized_crop:
            raise UsageError("--crop and --resized-crop: they exclude each other", "give one of them, or --crop 0")


@dataclass(frozen=True)
class Fit(Options):
    """How a network is trained; None means the model's own recipe."""

    epochs: int | None = option(
        None, "passes over the training images; default: by model, schedule and number of images", low=1
    )
    schedule: Literal["quick", "default", "patient"] = option(
        "default",
        "how long to train where neither epochs nor a time limit are given: a third of the default, or four times it; "
        "distill also takes other views where none are requested: quick makes a new cache of 2, patient one of 16 with "
        "mixup 0.2 (Beyer et al. 2022)",
    )
    steps: int | None = option(None, "end after this many steps if the epochs are not over before", low=1)
    batch_size: int | None = option(None, "images per step, of all processes together; default: by model", low=1)
    accumulate: int = option(1, "take every step in this many pieces, for less memory", low=1)
    sync_bn: bool = option(False, "several processes: batch norm over the images of all of them")
    optimizer: Literal["sgd", "adamw", "muon"] | None = option(
        None, "sgd is Nesterov with momentum 0.9, muon orthogonal steps for hidden layers; default: by model"
    )
    lr: float | None = option(None, "peak learning rate; default: by model", low=0)
    weight_decay: float | None = option(None, "weight decay, not on biases and norms; default: by model", low=0)
    progressive: float | None = option(
        None,
        "begin with images of this share of the input's side, for speed; 1: off; default: by model",
        low=0.25,
        high=1,
    )
    warmup: float = option(0.15, "share of training in which the learning rate rises", low=0, high=0.9)
    label_smoothing: float | None = option(
        None, "label smoothing of the cross-entropy; default: by model", low=0, high=0.9
    )
    class_weights: Literal["none", "balanced"] = option(
        "none", "weights of the classes in the cross-entropy; balanced: a class counts as much as any other"
    )
    ema: float = option(0.0, "decay of averaged weights, for example 0.999; 0: off", low=0, high=0.99999)
    clip: float = option(0.0, "largest gradient norm; 0: off", low=0)
    time_limit: str | None = option(
        None, "train as many steps as fit this time (measured at the start), for example 90s, 30m or 2h"
    )
    patience: int | None = option(
        None, "stop after this many epochs without a better validation; default: never", low=1
    )
    seed: int = option(0, "seed of initial weights, order of images and dropout", low=0)
    log: Literal["none", "tensorboard"] = option(
        "none", "also write every epoch's figures to RUN/tensorboard; metrics.jsonl always has them", recorded=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.log == "tensorboard" and find_spec("tensorboard") is None:
            raise MissingDependency(
                "--log tensorboard needs tensorboard", "pip install 'edgekd[tensorboard]', or leave it out"
            )


@dataclass(frozen=True)
class Training(Data, Machine, Views, Fit):
    """What every training command shares."""


@dataclass(frozen=True)
class Run(Options):
    """Where the result lives."""

    runs: Path = option(Path("runs"), "folder of all runs")
    name: str | None = option(None, "name of this run; default: made of model and data")
    resume: bool = option(False, "go on where an earlier run of this name stopped")
    overwrite: bool = option(False, "replace an earlier run of this name")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite: they exclude each other", "give one of them")


@dataclass(frozen=True)
class Teacher(Options):
    """Which teacher."""

    teacher: str | None = option(
        None,
        "a run, a model file (.onnx, .tflite, .mnn), ./net.py:build, or a model name (looked for in runs, then "
        "pretrained); default: of the "
        "runs of train-teacher on this data the most accurate by validation, but none of the student's own model",
    )
    teacher_weights: Path | None = option(None, "weight file (.safetensors, .pt, .pth) for the teacher's model name")


@dataclass(frozen=True)
class Cache(Options):
    """The teacher's cached logits."""

    caches: Path = option(Path("cache"), "folder of all caches")
    views: int | None = option(
        None,
        "augmented views of every image that the teacher sees, or auto (default): 4 (cache-logits: those there), "
        "fewer where time, disk or epochs are short",
        low=1,
        high=MOST_VIEWS,
    )
    store: Literal["fp16", "u8", "fp32", "topk"] | None = option(
        None, "how logits are stored; default: the cache's, else fp16, above 1,024 classes topk"
    )
    topk: int | None = option(None, "logits kept of each row with --store topk; default: 100", low=1)
    columns: tuple[str, ...] = option(
        (), "also store this output of the teacher: pooled, or map:MODULE; may be repeated"
    )


@dataclass(frozen=True)
class Rounding(Options):
    """Whether training meets the grid of an INT8 file."""

    quantize: Literal["none", "int8"] = option(
        "none", "train trained weights further with weights and activations rounded as the INT8 file will round them"
    )


@dataclass(frozen=True)
class TrainTeacher(Training, Run, Code, Shell):
    """Options of `edgekd train-teacher`."""

    model: str = option("resnet9", "model name (see edgekd models) or ./net.py:build")
    weights: Path | None = option(None, "start from this weight file (.safetensors, .pt, .pth)")
    pretrained: bool = option(False, "start from timm's pretrained weights (needs the network once)")
    input_size: int | None = option(
        None, "side of the model's input, pixels; default: by model and canvas", low=8, high=4096
    )


@dataclass(frozen=True)
class CacheLogits(Data, Machine, Views, Teacher, Cache, Code, Shell):
    """Options of `edgekd cache-logits`."""

    runs: Path = option(Path("runs"), "folder of all runs")
    name: str | None = option(None, "name of the cache; default: made of teacher and data")
    overwrite: bool = option(False, "replace a cache of this name that holds something else")
    batch_size: int = option(250, "images per teacher pass", low=1)
    shard: str | None = option(None, "this process's share of the work, for example 2/4 of four processes")
    for_: str | None = option(
        None, "also store what this distillation method needs of the teacher (a name, or ./mine.py)"
    )
    student: str = option("tiny-cnn", "with --for: the student that the method will be given")
    set: tuple[str, ...] = option((), "with --for: a setting of the method, key=value; may be repeated")
    import_: Path | None = option(
        None, "take the logits of the plain images from this file (.npz, .csv) in place of a teacher"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        share_of(self.shard)
        if self.import_ is not None:
            self._check_import()
        if self.shard and self.overwrite:
            raise UsageError("--shard and --overwrite: several processes would remove each other's work", SHARD_HINT)

    def _check_import(self) -> None:
        if place().world > 1:
            raise UsageError("--import: needs one process", "start it without torchrun")
        asking = [each.name for each in (*fields(Views), *fields(Teacher))] + ["columns", "shard", "for_"]
        given = [name for name in asking if getattr(self, name) and (name != "flip" or self.flip == "on")]
        given += ["views"] * (self.views not in (None, 1))
        if given:
            raise UsageError(
                f"--import and --{flag(given[0])}: they exclude each other",
                "imported logits are of the plain images, one view, and no teacher is asked",
            )


def share_of(shard: str | None) -> tuple[int, int]:
    """`2/4` as (1, 4), nothing as this process's place among torchrun's; raises UsageError for anything else."""
    here = place()
    if shard is None:
        return here.rank, here.world
    if here.world > 1:
        raise UsageError(f"--shard {shard}: torchrun shares the work out already", "leave it out, or torchrun")
    number, slash, count = shard.partition("/")
    is_whole = len(shard) <= 20 and slash and number.isdecimal() and count.isdecimal()
    if not (is_whole and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {shard}: not a share", "give I/N with I from 1 to N, for example 2/4")
    return int(number) - 1, int(count)


def weighed(text: str, option: str) -> tuple[str, float]:
    """`best=0.5` as ("best", 0.5), `best` as ("best", 1); raises UsageError for a weight that is none."""
    name, _, weight = text.rpartition("=") if "=" in text else (text, "", "1")
    try:
        found = float(weight)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise UsageError(f"--{option} {text}: its weight is no number above 0", "give NAME or NAME=WEIGHT, as best=0.5")
    return name, found


@dataclass(frozen=True)
class Distill(Training, Teacher, Cache, Rounding, Run, Code, Shell):
    """Options of `edgekd distill`."""

    student: str = option("tiny-cnn", "model name (see edgekd models) or ./net.py:build")
    student_weights: Path | None = option(None, "start the student from this weight file")
    input_size: int | None = option(
        None, "side of the student's input, pixels; default: by model and canvas", low=8, high=4096
    )
    method: str = option("kd", "distillation method, or ./mine.py: a file of your own")
    set: tuple[str, ...] = option((), "a setting of the method, key=value; may be repeated")
    alpha: float | None = option(
        None,
        "weight of the distillation loss, the labels' loss has 1 - alpha; default: the method's own (kd: 0.9), or both "
        "added with the method's weights",
        low=0,
        high=1,
    )
    temperature: float | None = option(
        None, "softening of teacher and student logits; default: the method's own (kd: 4)", low=0.01, high=1000
    )
    ramp: tuple[str, ...] = option(
        (),
        "a setting that changes linearly over the training, NAME=START:END, as alpha=0.9:0.5 or temperature=4:1: "
        "alpha, or a setting of the method; may be repeated",
    )
    cache: tuple[str, ...] = option(
        (),
        "cache to learn from, NAME or NAME=WEIGHT; several are one teacher; "
        "default: this teacher's, written first where there is none",
    )
    live: bool = option(
        False, "ask the teacher itself at every step instead of a cache; several teachers: --teacher RUN,RUN=WEIGHT"
    )
    ensemble: Literal["fixed", "confidence"] = option(
        "fixed",
        "how several teachers' logits are weighed: by their weights; or each image's also by how sure each teacher is "
        "of its label (without one, of its own answer)",
    )
    peers: tuple[str, ...] = option(
        (), "learn together with these models, from each other instead of a teacher: MODEL[,MODEL]; may be repeated"
    )
    update: Literal["simultaneous", "alternating"] = option(
        "simultaneous", "with --peers: all step at once, or one after the other on each batch"
    )
    compare_alone: bool = option(
        False,
        "also train the student alone for the same steps, in the same format and with the same seed (run NAME-alone), "
        "and tell the gain with its 95 % interval",
        recorded=False,
    )
    seeds: int = option(
        1,
        "distil and train alone with so many seeds, from --seed on (see --compare-alone)",
        low=1,
        high=100,
        recorded=False,
    )
    generations: int = option(
        1,
        "distil so many times, each student being the next one's teacher (born-again); earlier runs are NAME-g1, ...",
        low=1,
        high=20,
        recorded=False,
    )
    dry_run: bool = option(
        False, "train and write nothing: say what it would take, cached and live, from a few steps", recorded=False
    )
    device: str | None = option(
        None, "with --dry-run: can the student meet this device's limits (see edgekd devices)?", recorded=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantize != "none" and self.student_weights is None:
            raise UsageError(
                f"--quantize {self.quantize}: without --student-weights",
                "rounding is learnt from trained weights: give those of a finished run, runs/NAME/model.safetensors",
            )
        if self.live and self.cache:
            raise UsageError("--live and --cache: they exclude each other", "give one of them")
        self._check_peers()
        if self.device and not self.dry_run:
            raise UsageError("--device: without --dry-run", "add --dry-run; edgekd profile judges what was trained")
        self._check_compared()
        self._check_ramps()

    def _check_ramps(self) -> None:
        for name, value in {"alpha": self.alpha, "temperature": self.temperature}.items():
            if value is not None and any(each.startswith(f"{name}=") for each in self.ramp):
                raise UsageError(f"--{name} and --ramp {name}: they exclude each other", "give one of them")

    def _check_compared(self) -> None:
        several = {
            f"--generations {self.generations}": self.generations > 1,
            "--compare-alone": self.compare_alone,
            f"--seeds {self.seeds}": self.seeds > 1,
        }
        asked = [name for name, is_given in several.items() if is_given]
        others = {"--dry-run": self.dry_run, "--quantize": self.quantize != "none", "--peers": bool(self.peers)}
        if self.generations > 1:
            others |= dict.fromkeys(asked[1:], True)
        for name, is_given in others.items():
            if asked and is_given:
                raise UsageError(f"{asked[0]} and {name}: they exclude each other", "leave one of them out")

    def _check_peers(self) -> None:
        if not self.peers:
            if self.update != "simultaneous":
                raise UsageError(f"--update {self.update}: without --peers", "add --peers MODEL, or leave it out")
            return
        others = {
            "quantize": self.quantize != "none",
            "live": self.live,
            "cache": self.cache,
            "teacher": self.teacher,
            "ensemble": self.ensemble != "fixed",
            "dry-run": self.dry_run,
        }
        given = [name for name, value in (others | {"teacher-weights": self.teacher_weights}).items() if value]
        if given:
            raise UsageError(
                f"--peers and --{given[0]}: they exclude each other", "peers learn from each other, without a teacher"
            )


@dataclass(frozen=True)
class Finetune(Training, Rounding, Run, Code, Shell):
    """Options of `edgekd finetune`."""

    model: str | None = option(None, "the run to start from; default: the newest student", positional=True)
    freeze: Literal["none", "backbone", "half"] = option(
        "none", "train everything, only the head, or the later half of the layers and the head"
    )
    layer_decay: float = option(1.0, "factor on the learning rate per layer away from the head", low=0.01, high=1)


@dataclass(frozen=True)
class Export(Data, Code, Shell):
    """Options of `edgekd export`."""

    model: str | None = option(
        None,
        "the run to export; with --quantize or --format also an ONNX file; default: the newest student",
        positional=True,
    )
    runs: Path = option(Path("runs"), "folder of all runs")
    output: Path | None = option(None, "file to write; default: model.onnx in the run's folder")
    format: Literal["onnx", "tflite", "mnn", "all"] = option(
        "onnx", "also write files for LiteRT (tflite) or MNN beside the ONNX file, prove and measure them"
    )
    make_converter: bool = option(
        False, "tflite: install its converter, litert-torch, in an environment of its own (about 7.5 GB)"
    )
    converter_python: Path | None = option(
        None, "tflite: python of an environment that has litert-torch; default: the one --make-converter made"
    )
    opset: int = option(18, "ONNX opset; 18, in IR version 8, loads on ONNX Runtime 1.16 and later", low=18, high=24)
    samples: int = option(256, "images on which the file is compared with the network", low=1)
    tolerance: float = option(1e-3, "largest logit difference allowed, relative to the largest logit", low=0)
    batch: str = option("dynamic", "images at once: dynamic, or a fixed number for runtimes that need one")
    embed_preprocess: bool = option(
        False, "also write files that take uint8 images [batch, height, width, channels] of any size"
    )
    quantize: Literal["none", "fp16", "int8", "all"] = option(
        "none", "also write files of fewer bits, prove them, and measure here which one pays"
    )
    calibration: Literal["auto", "minmax", "percentile", "entropy", "mse"] = option(
        "auto", "int8: rule for the ranges of activations; auto: the one nearest to float32 on validation images"
    )
    calibration_images: int = option(512, "int8: training images to calibrate on", low=1)
    max_drop: float = option(0.01, "largest loss of validation accuracy in files of fewer bits, 0-1", low=0, high=1)
    sensitivity: bool = option(
        False, "int8: tell what each layer costs in accuracy and time, and also write a file without the worst"
    )
    device: str | None = option(
        None, "int8: write for this device's processor (see edgekd devices); default: this machine's"
    )
    threads: int | None = option(None, "CPU threads when files are measured; default: the device's", low=1, high=1024)
    duration: float = option(3.0, "seconds that each file is measured", low=0.01, high=3600)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch != "dynamic" and not (self.batch.isdecimal() and 1 <= int(self.batch) <= 100_000):
            raise UsageError(f"--batch {self.batch}: not a batch", "give dynamic, or a whole number from 1")

    @property
    def fixed_batch(self) -> int | None:
        """The fixed number of images; None: any."""
        return None if self.batch == "dynamic" else int(self.batch)


@dataclass(frozen=True)
class Evaluate(Data, Machine, Code, Shell):
    """Options of `edgekd evaluate`."""

    model: str | None = option(None, "a run or a model file; default: the newest student", positional=True)
    runs: Path = option(Path("runs"), "folder of all runs")
    split: Literal["test", "val", "train"] = option("test", "which images")
    batch_size: int = option(250, "images per pass", low=1)
    per_class: bool = option(False, "also a table of recall, precision and F1 by class")
    confusion: bool = option(False, "also a table of how often each class (row) was answered with each other (column)")
    failures: Path | None = option(
        None, "write the wrong images here, the surest mistakes first: image, class, answer, confidence (.csv or .json)"
    )


@dataclass(frozen=True)
class Report(Data, Machine, Code, Shell):
    """Options of `edgekd report`."""

    model: str | None = option(
        None,
        "a run, the folder of a study or a search, or a report.json made before; default: the newest student",
        positional=True,
    )
    runs: Path = option(Path("runs"), "folder of all runs")
    output: Path | None = option(
        None, "page to write, .html or .md, with its facts as .json beside it; default: report.html in the same folder"
    )
    format: Literal["html", "markdown"] | None = option(
        None, "kind of page; default: by the name of --output, else html where the report extra is installed"
    )
    open: bool = option(False, "show the page in the web browser")
    split: Literal["test", "val", "train"] = option("test", "which images")
    batch_size: int = option(250, "images per pass", low=1)
    pictures: int = option(12, "images shown of each kind: mistakes, doubts, suspect labels", low=0, high=200)
    corrupted: int = option(
        500, "images that are also judged with noise, blur, other brightness and as JPEG; 0: none", low=0
    )
    sure: float = option(
        0.7, "a label is suspect where the teacher gives another class at least this probability", low=0.5, high=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        suffix = {"html": ".html", "markdown": ".md"}.get(self.format or "")
        if self.output is not None and suffix and self.output.suffix != suffix:
            raise UsageError(
                f"--format {self.format} and --output {self.output}: they differ", f"give a name that ends in {suffix}"
            )


@dataclass(frozen=True)
class Predict(Code, Shell):
    """Options of `edgekd predict`."""

    model: str = option("", "a run or a model file (.onnx, .tflite, .mnn)", positional=True)
    images: tuple[Path, ...] = option((), "image files or folders", positional=True)
    runs: Path = option(Path("runs"), "folder of all runs")
    top: int = option(1, "how many classes to tell per image", low=1)
    skip_bad_images: bool = option(False, "end with exit code 0 although some images could not be read")
    threads: int | None = option(None, "CPU threads; default: the cores this process may use", low=1, high=1024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model or not self.images:
            raise UsageError("a model and images are needed", "edgekd predict RUN-OR-FILE IMAGE-OR-FOLDER...")


@dataclass(frozen=True)
class Models(Shell):
    """Options of `edgekd models`."""

    pattern: str | None = option(
        None, "names that contain this, * and ? allowed; default: the usual ones", positional=True
    )
    classes: int = option(10, "classes the heads are counted for", low=2, high=1_000_000)
    input_size: int | None = option(None, "input side for the MACs; default: the model's own", low=8, high=4096)


@dataclass(frozen=True)
class Methods(Shell):
    """Options of `edgekd methods`."""


@dataclass(frozen=True)
class Budget(Options):
    """Limits a model must keep; a flag wins over the device profile's own [budget]."""

    max_latency_ms: float | None = option(None, "limit of one batch's latency at --percentile, ms", low=0.0001)
    percentile: float | None = option(
        None, "latency percentile the limit applies to; default: the profile's", low=1, high=99.9
    )
    max_rss_mb: float | None = option(None, "limit of the process's peak memory, MB", low=0.0001)
    max_size_mb: float | None = option(None, "limit of the model file, MB", low=0.0001)
    min_top1: float | None = option(None, "least top-1 accuracy, 0-1", low=0, high=1)
    max_params: float | None = option(None, "limit of the parameter count", low=1)
    max_macs: float | None = option(None, "limit of the multiply-adds of one image", low=1)
    max_energy_mj: float | None = option(None, "limit of one image's energy above idle, mJ; measured as with --energy")
    max_train_minutes: float | None = option(None, "limit of the training time in the run's own record", low=0.0001)


@dataclass(frozen=True)
class Profile(Budget, Shell):
    """Options of `edgekd profile`."""

    models: tuple[str, ...] = option(
        (), "model files (.onnx, .tflite, .mnn) or runs; default: the newest export", positional=True
    )
    runs: Path = option(Path("runs"), "folder of all runs")
    device: str | None = option(None, "device profile (see edgekd devices) or a TOML file; default: no limits")
    threads: str | None = option(None, "CPU threads, or a sweep like 1,2,4; default: the profile's, else all cores")
    batch: str | None = option(
        None, "batch sizes, for example 1 or 1,8,100; the first is judged; default: the profile's, else 1"
    )
    warmup: float = option(1.0, "seconds of warm-up (and 10 runs, within 6 times that)", low=0, high=600)
    duration: float = option(
        10.0, "seconds measured of each model (and 200 runs, within 6 times that)", low=0.01, high=86400
    )
    operators: bool = option(False, "table of time by operator")
    energy: bool = option(False, "also measure energy per image above idle, where the machine has a sensor")
    images: Path | None = option(None, "folder of <class>/* images for accuracy on this machine")
    tolerance: float | None = option(
        None,
        "largest difference of a logit from the export's own sample; default by precision: "
        "0.001 fp32, 0.05 fp16, 0.5 int8",
        low=0,
    )
    baseline: Path | None = option(
        None, "an earlier --json result; slower, bigger or less accurate beyond --noise fails"
    )
    noise: float = option(0.05, "relative change for the worse that --baseline tolerates", low=0, high=10)
    report: Path | None = option(None, "also write the report here: .json, .md or .html")
    on: str | None = option(None, "measure on this host through ssh, for example pi@raspberrypi")
    install: bool = option(False, "with --on: set up edgekd there in a private environment if it is missing")


@dataclass(frozen=True)
class Devices(Shell):
    """Options of `edgekd devices`."""

    action: Literal["list", "show", "new"] = option("list", "list them, show one, or make a new one", positional=True)
    name: str | None = option(None, "profile name or TOML file", positional=True)
    from_host: bool = option(False, "new: take the figures from this machine")
    output: Path | None = option(None, "new: file to write; default: NAME.toml")


@dataclass(frozen=True)
class Runs(Shell):
    """Options of `edgekd runs`."""

    action: Literal["ls", "show", "compare", "rm"] = option(
        "ls", "list them; show all of one; compare some (all when none is named); remove some", positional=True
    )
    names: tuple[str, ...] = option((), "runs, by name or path", positional=True)
    runs: Path = option(Path("runs"), "folder of all runs")


@dataclass(frozen=True)
class Caches(Code, Shell):
    """Options of `edgekd cache`."""

    action: Literal["ls", "info", "status", "verify", "merge", "rm"] = option(
        "ls",
        "list them; tell all of one, or how far it is; check its shards and ask the teacher again; join others into "
        "it; remove",
        positional=True,
    )
    names: tuple[str, ...] = option((), "caches, by name or path; merge: into the first", positional=True)
    caches: Path = option(Path("cache"), "folder of all caches")
    data: str | None = option(None, "info, verify: where the images are now; default: where they were")
    sample: int = option(8, "verify: batches that the teacher is asked again, drawn at random; 0: none", low=0)
    tolerance: float | None = option(
        None,
        "verify: largest error of a stored value, relative to the largest; default by store: "
        "0.00001 fp32, 0.001 fp16 and topk, 0.005 u8; 0.02 more where bf16, fp16 or fp8 computed",
        low=0,
    )


@dataclass(frozen=True)
class Pinned(Options):
    """Number format and threads, the same for all that is compared."""

    threads: int | None = option(
        None, "CPU threads of every run; default: the cores this process may use, shared by --jobs", low=1, high=1024
    )
    precision: Literal["fp32", "bf16", "fp16", "fp8"] = option("fp32", "number format of every run")
    memory_format: Literal["channels-first", "channels-last"] = option(
        "channels-last", "layout of image tensors of every run"
    )


@dataclass(frozen=True)
class Study(Pinned, Shell):
    """Options of `edgekd study`."""

    study: str | None = option(None, "a built-in study, or ./FILE.toml; default: list them", positional=True)
    data: str | None = option(None, "data set in place of the study's own")
    output: Path = option(Path("studies"), "folder of all studies; they share runs and caches")
    seeds: int | None = option(None, "seeds of every arm; default: 3, with --quick 2 or 1", low=1, high=1000)
    time_limit: str | None = option(None, "begin no further run after this time, for example 90s, 30m or 2h")
    jobs: int = option(1, "runs at a time", low=1, high=256)
    quick: bool = option(False, "the study's short form, on the embedded images")
    dry_run: bool = option(False, "train nothing: list what would run, how long it takes and the disk it needs")


@dataclass(frozen=True)
class Search(Pinned, Data, Budget, Shell):
    """Options of `edgekd search`."""

    device: str | None = option(
        None, "device profile whose limits the student must keep (see edgekd devices); default: the limits given alone"
    )
    runs: Path = option(Path("runs"), "folder in which --teacher is looked for")
    teacher: str | None = option(
        None, "run to learn from; default: a teacher that its share of the time allows is trained first"
    )
    time_limit: str = option("2h", "time for everything, the training of the best student included")
    output: Path = option(Path("search"), "folder for everything that is made; the same again goes on or joins in")
    seed: int = option(0, "seed of what is tried", low=0)


SECONDS_TO_SEARCH = 1200
"""From this limit on `edgekd fit` searches for the student."""


@dataclass(frozen=True)
class FitAll(Shell):
    """Options of `edgekd fit`."""

    data: str = option("shapes", "a folder with train/<class>/*, or a known data set")
    device: str = option("raspberry-pi-4", "device profile whose limits the model must keep (see edgekd devices)")
    time_limit: str = option("1h", "time for everything; from 20m on the student is searched for")
    output: Path = option(Path("fit"), "folder for everything that is made")
