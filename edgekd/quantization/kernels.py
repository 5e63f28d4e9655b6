"""Which whole numbers a processor multiplies fast and exactly, and what to expect of it before the work begins."""

from collections.abc import Collection
from dataclasses import dataclass

from edgekd.quantization.grid import FULL_WEIGHTS, HALF_WEIGHTS, Kind

VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
DOTPROD = ("asimddp", "dotprod")
ARM = ("aarch64", "arm64", "armv7l", "armv8")
NARROW = {True: 32, False: 128}
"""Channels below which shallow INT8 convolutions tend to lose on ARM, with and without dot-product instructions."""


@dataclass(frozen=True)
class Kernels:
    """The numbers a processor's INT8 kernels take: kind of the activations, largest weight."""

    name: str
    activations: Kind
    weight_limit: int
    is_arm: bool
    has_dot: bool

    def warnings(self, widths: Collection[int]) -> list[str]:
        """What speaks against INT8 there for layers with `widths` output channels, in words."""
        if not self.is_arm:
            return [] if self.has_dot else [f"{self.name}: without VNNI; weights are held to 7 bits, INT8 gains little"]
        found = []
        if not self.has_dot:
            found.append(f"{self.name}: without dot-product instructions; INT8 is often slower than float there")
        bound = NARROW[self.has_dot]
        narrow = sum(each < bound for each in widths)
        if narrow * 2 > len(widths):
            found.append(
                f"{self.name}: {narrow} of {len(widths)} layers have fewer than {bound} channels, "
                "where INT8 tends to lose on ARM"
            )
        return found


def kernels_of(name: str, arch: str, features: Collection[str]) -> Kernels:
    """u8s8 for x86 (weights of 7 bits without VNNI, whose absence makes pairs of products saturate), s8s8 for ARM."""
    if arch.lower() in ARM:
        return Kernels(name, "int8", FULL_WEIGHTS, is_arm=True, has_dot=any(each in features for each in DOTPROD))
    has_dot = any(each in features for each in VNNI)
    return Kernels(name, "uint8", FULL_WEIGHTS if has_dot else HALF_WEIGHTS, is_arm=False, has_dot=has_dot)
