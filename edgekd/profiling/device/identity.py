"""Whether this machine is the device of a profile: figures taken elsewhere say nothing of the board's latency."""

import os
from dataclasses import dataclass

from edgekd.profiling.device.host import Host
from edgekd.profiling.device.profiles import Device, DeviceMatch


@dataclass(frozen=True)
class Identity:
    """The answer (None: the profile names no machine) and its words."""

    is_device: bool | None
    statement: str


def identify(device: Device, host: Host) -> Identity:
    """Compare a profile's [match] with the board's name and processor."""
    match = device.match
    if match == DeviceMatch():
        return Identity(None, f"{device.name} names no machine: its limits are judged on this one, {host.title}")
    board = any(name in (host.board or "") for name in match.board)
    if match.board and board and (problem := _other_cpu(device, host)):
        return Identity(
            False,
            f"this machine calls itself {host.board}, but {problem}: taken for an emulation, "
            f"so its latency says nothing about {device.title}",
        )
    by_cpu = _contains(match.cpu_model, host.cpu) or bool({*match.cpu_part} & {*host.cpu_parts})
    by_environment = bool(match.environment and os.environ.get(match.environment))
    if board or by_environment or (not match.board and not match.environment and by_cpu):
        return Identity(True, f"measured on the device itself: {host.title}")
    return Identity(
        False,
        f"this machine is not {device.title} but {host.title}: "
        "its latency says nothing about the board; size, parameters and accuracy do",
    )


def _other_cpu(device: Device, host: Host) -> str | None:
    """Words when the processor contradicts the board's name; files can be copied, kernels emulated."""
    if device.match.cpu_part and host.cpu_parts:
        return None if {*device.match.cpu_part} & {*host.cpu_parts} else f"its processor is {host.cpu}"
    if host.arch.replace("arm64", "aarch64") != device.cpu.arch:
        return f"its processor is {host.cpu} ({host.arch})"
    if device.match.cpu_part and any(each.startswith("avx") for each in host.features):
        return f"its processor is {host.cpu}"
    return None


def _contains(parts: tuple[str, ...], whole: str) -> bool:
    return any(part in whole for part in parts)
