"""What bare `edgekd models` lists, as a table, so that it needs no torch; a test builds every network and compares."""

from dataclasses import asdict, dataclass

from edgekd.config import Models
from edgekd.report import Reporter, Result, Table


@dataclass(frozen=True)
class Row:
    """One model: counts for the asked number of classes, MACs for one image of `input_size` pixels a side."""

    name: str
    short_names: tuple[str, ...]
    parameters: int
    folded_parameters: int
    stored_parameters: int
    macs: int
    input_size: int
    source: str


# fmt: off
ROWS = (
    Row("tiny-cnn", (), 10_746, 10_322, 11_594, 1_164_768, 32, "edgekd"),
    Row("resnet8", (), 78_186, 77_706, 78_666, 12_501_632, 32, "edgekd"),
    Row("resnet9", (), 1_529_866, 1_529_642, 1_532_202, 89_983_264, 32, "edgekd"),
    Row("custom-student", (), 11_444, 11_444, 11_444, 10_323_180, 32, "edgekd"),
    Row("custom-teacher-4", (), 39_316, 39_316, 39_572, 38_634_732, 32, "edgekd"),
    Row("custom-teacher-6", (), 57_876, 57_876, 58_260, 57_509_100, 32, "edgekd"),
    Row("custom-teacher-8", (), 76_436, 76_436, 76_948, 76_383_468, 32, "edgekd"),
    Row("rescnn-4", (), 98_426, 97_962, 99_290, 380_527_104, 150, "edgekd"),
    Row("rescnn-6", (), 409_114, 408_074, 411_066, 569_801_536, 150, "edgekd"),
    Row("rescnn-8", (), 1_648_986, 1_646_794, 1_653_114, 768_040_384, 150, "edgekd"),
    Row("rescnn-10", (), 6_602_714, 6_598_218, 6_611_194, 977_855_168, 150, "edgekd"),
    Row("rescnn-12", (), 26_535_386, 26_525_770, 26_553_082, 1_228_464_832, 150, "edgekd"),
    Row("resnet8x4", (), 1_210_410, 1_209_034, 1_213_162, 177_048_064, 32, "edgekd"),
    Row("resnet32x4", (), 7_410_730, 7_405_770, 7_420_650, 1_083_017_728, 32, "edgekd"),
    Row("vit_tiny_patch16_224", ("vit_tiny",), 5_526_346, 5_526_346, 5_526_346, 1_253_493_120, 224, "timm"),
    Row("vit_small_patch16_224", ("vit_small",), 21_669_514, 21_669_514, 21_669_514, 4_598_502_144, 224, "timm"),
    Row("vit_base_patch16_224", ("vit_base",), 85_806_346, 85_806_346, 85_806_346, 17_563_067_904, 224, "timm"),
    Row("deit_tiny_patch16_224", ("deit_tiny",), 5_526_346, 5_526_346, 5_526_346, 1_253_493_120, 224, "timm"),
    Row("deit_small_patch16_224", ("deit_small",), 21_669_514, 21_669_514, 21_669_514, 4_598_502_144, 224, "timm"),
    Row("deit_base_patch16_224", ("deit_base",), 85_806_346, 85_806_346, 85_806_346, 17_563_067_904, 224, "timm"),
    Row("swin_tiny_patch4_window7_224", ("swin_tiny",), 27_527_044, 27_527_044, 27_527_044, 4_489_806_336, 224, "timm"),
    Row(
        "swin_small_patch4_window7_224", ("swin_small",), 48_844_948, 48_844_948, 48_844_948, 8_740_114_944, 224, "timm"
    ),
    Row(
        "swin_base_patch4_window7_224", ("swin_base",), 86_753_474, 86_753_474, 86_753_474, 15_429_933_056, 224, "timm"
    ),
    Row("mixer_s16_224", ("mixer_small",), 18_020_394, 18_020_394, 18_020_394, 3_776_451_584, 224, "timm"),
    Row("mixer_b16_224", ("mixer_base",), 59_119_162, 59_119_162, 59_119_162, 12_601_007_616, 224, "timm"),
    Row("mobilenetv1_100", ("mobilenetv1",), 3_217_226, 3_206_282, 3_239_114, 567_726_592, 224, "timm"),
    Row("mobilenetv2_100", ("mobilenetv2",), 2_236_682, 2_219_626, 2_270_794, 299_507_072, 224, "timm"),
    Row("mobilenetv3_small_100", ("mobilenetv3_small",), 1_528_106, 1_522_050, 1_540_218, 55_496_640, 224, "timm"),
    Row("mobilenetv3_large_100", ("mobilenetv3_large",), 4_214_842, 4_202_642, 4_239_242, 215_322_560, 224, "timm"),
    Row("mobilenetv4_conv_small", ("mobilenetv4_small",), 2_505_834, 2_493_290, 2_530_922, 184_738_368, 224, "timm"),
    Row("resnet18", (), 11_181_642, 11_176_842, 11_191_242, 1_813_566_464, 224, "timm"),
    Row("resnet34", (), 21_289_802, 21_281_290, 21_306_826, 3_663_254_528, 224, "timm"),
    Row("resnet50", (), 23_528_522, 23_501_962, 23_581_642, 4_087_156_736, 224, "timm"),
    Row("vgg11_bn", (), 128_812_810, 128_807_306, 128_818_314, 7_605_035_008, 224, "timm"),
    Row("vgg16", (), 134_301_514, 134_301_514, 134_301_514, 15_466_209_280, 224, "timm"),
    Row("efficientnet_b0", (), 4_020_358, 3_999_350, 4_062_374, 384_547_552, 224, "timm"),
    Row("convnext_atto", (), 3_377_730, 3_377_730, 3_377_730, 547_015_680, 224, "timm"),
    Row("convnext_tiny", (), 27_827_818, 27_827_818, 27_827_818, 4_454_770_944, 224, "timm"),
)


def run(config: Models, report: Reporter) -> Result:
    """The usual models with ten classes at their own input size."""
    return result_of(ROWS, config)


def result_of(rows: tuple[Row, ...] | list[Row], config: Models) -> Result:
    """The table and JSON object of these rows."""
    shown = [(row.name, ", ".join(row.short_names), row.parameters, row.macs, row.input_size) for row in rows]
    title = f"models with {config.classes} classes (any other timm name works too; edgekd models PATTERN looks them up)"
    columns = ("name", "short", "parameters", "multiply-adds", "input")
    facts = {"classes": config.classes, "models": [asdict(row) for row in rows]}
    return Result(facts, (Table(title, columns, shown, ("short", "input")),))
