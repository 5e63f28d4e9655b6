import pytest

from edgekd.quantization.kernels import kernels_of


@pytest.mark.parametrize(
    ("arch", "features", "kind", "limit"),
    [
        ("x86_64", ["avx512_vnni"], "uint8", 127),
        ("x86_64", ["avx2", "avx_vnni"], "uint8", 127),
        ("x86_64", ["avx2"], "uint8", 63),
        ("aarch64", ["neon"], "int8", 127),
        ("arm64", ["asimddp"], "int8", 127),
    ],
)
def test_numbers_by_processor(arch: str, features: list[str], kind: str, limit: int) -> None:
    kernels = kernels_of("it", arch, features)
    assert (kernels.activations, kernels.weight_limit) == (kind, limit)


def test_warnings_before_the_work() -> None:
    pi4, pi5 = kernels_of("Pi 4", "aarch64", ["neon"]), kernels_of("Pi 5", "aarch64", ["neon", "dotprod"])
    assert len(pi4.warnings([64, 64])) == 2 and "dot-product" in pi4.warnings([64, 64])[0]
    assert pi5.warnings([64, 64]) == []
    assert "2 of 3 layers have fewer than 32 channels" in pi5.warnings([16, 16, 64])[0]
    assert kernels_of("x", "x86_64", ["avx512_vnni"]).warnings([16]) == []
    assert "VNNI" in kernels_of("x", "x86_64", ["avx2"]).warnings([16])[0]
