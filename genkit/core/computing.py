"""The way that networks compute, apart from what they compute: the device, the precision, compiled or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from genkit.core.catalog import name_of
from genkit.core.errors import GenkitError, kind_of, shown
from genkit.core.table import CATALOG

M = TypeVar("M", bound=nn.Module)
Precision = Literal["no", "bf16", "fp16"]

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Units for bfloat16 products, as Linux names them on x86 and on ARM."""


@dataclass(frozen=True)
class Computing:
    """A way to compute.

    Attributes:
        device: of the networks.
        precision: 'bf16' runs networks under bfloat16 autocast; noise and whatever lies between them stay float32.
        compile: whether networks go through torch.compile, which pays for thousands of calls.
    """

    device: torch.device
    precision: Precision = "no"
    compile: bool = False

    @classmethod
    def asked(cls, device: str | None = None, precision: Precision = "no", compile: bool = False) -> Computing:
        """Raises GenkitError for a device that is not there, or a precision that it does not do."""
        found = device_named(device) if device else this_device()
        if refused := refusal(precision, found):
            raise GenkitError(f"--precision {precision}: {refused}")
        return cls(found, precision, compile)

    def ready(self, module: M) -> M:
        """`module`, moved to the device; its networks are compiled, in place, if they are to be.

        Raises:
            GenkitError: none of them can be.
        """
        if self.compile:
            called = [network for network in networks_of(module) if type(network).forward is not NOT_CALLED]
            if not called:
                raise GenkitError(f"--compile: {kind_of(module)} has no network that is called as a whole")
            for network in called:
                network.compile()
        return module.to(self.device)

    @property
    def described(self) -> str:
        """Equal where samples are equal to the last bit."""
        return f"{self.device.type}/{self.precision}/{'compiled' if self.compile else 'eager'}"


NOT_CALLED = nn.Module.forward
"""Of networks that are called by parts, such as a VAE's, which torch.compile does not see."""

_current: Computing | None = None


def computing() -> Computing:
    """The way to compute that was asked for; else this process's device in full precision."""
    return _current or Computing(this_device())


@contextmanager
def computing_by(way: Computing) -> Iterator[None]:
    """Inside, `computing()` is `way`, and networks run at its precision."""
    global _current
    before, _current = _current, way
    try:
        with torch.autocast(way.device.type, torch.bfloat16, enabled=way.precision == "bf16"):
            yield
    finally:
        _current = before


@contextmanager
def exact() -> Iterator[None]:
    """Inside, nothing runs at a lower precision: for extractors and distances, whatever makes the samples."""
    kinds = {"cpu", computing().device.type}
    with ExitStack() as held:
        for kind in kinds:
            held.enter_context(torch.autocast(kind, enabled=False))
        yield


def this_device() -> torch.device:
    """This process's accelerator as accelerate chooses it (CUDA, Apple's MPS, XPU), else the CPU."""
    if chosen := os.environ.get("ACCELERATE_TORCH_DEVICE"):
        return torch.device(chosen)
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1", "yes"):
        return torch.device("cpu")
    return _numbered(found.type)


def _numbered(kind: str) -> torch.device:
    """The device of this kind that is this process's: of several on a machine each has its own."""
    local = os.environ.get("LOCAL_RANK")
    if local is None or kind in ("cpu", "mps"):
        return torch.device(kind)
    return torch.device(kind, int(local) % torch.accelerator.device_count())


def device_named(name: str) -> torch.device:
    """The device that a name such as 'cpu', 'cuda' or 'cuda:1' means in this process; raises GenkitError."""
    found = torch.accelerator.current_accelerator(check_available=True)
    there = ["cpu", *([found.type] if found else [])]
    kind, _, number = name.partition(":")
    count = torch.accelerator.device_count() if found and kind == found.type else 1
    if kind not in there or (number and not (number.isdecimal() and int(number) < count)):
        more = f" ({count} of it)" if kind in there and number else ""
        raise GenkitError(f"--device: there is no {shown(name)} here{more}; there is {', '.join(there)}")
    if number and int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
        raise GenkitError(f"--device {name} would be the device of every process; give --device {kind}")
    return torch.device(name) if number else _numbered(kind)


def refusal(precision: Precision, device: torch.device) -> str:
    """Why networks on `device` should not compute at this precision; "" where nothing speaks against it."""
    if precision == "bf16" and device.type == "cpu" and cpu_has_bf16() is False:
        return "this CPU has no units for bf16 and is up to ten times slower with it than with 'no'"
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "this GPU has no units for bf16; in training 'fp16' is the precision for older ones"
    if precision == "fp16" and device.type == "cpu":
        return "fp16 is for GPUs; a CPU takes 'no', or 'bf16' where it has units for it"
    return ""


def cpu_has_bf16() -> bool | None:
    """Whether this machine's CPU multiplies bfloat16 numbers; None where that is unknown."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return bool(BF16_FLAGS & set(flags)) if flags else None


def networks_of(module: nn.Module) -> list[nn.Module]:
    """The outermost networks inside `module`, each once."""
    known = CATALOG["networks"]
    found, inside = list[nn.Module](), set[nn.Module]()
    for part in module.modules():
        if part not in inside and name_of(type(part)) in known:
            found.append(part)
            inside |= set(part.modules())
    return found
