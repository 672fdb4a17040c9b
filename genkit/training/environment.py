"""The environment of a run: all that its results depend on beside recipe and seed."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import torch

from genkit.core.computing import computing
from genkit.core.versions import installed, own_source

PACKAGES = ("genkit", "torch", "torchvision", "accelerate", "diffusers", "torchmetrics", "clean-fid", "numpy", "pillow")


def environment() -> dict[str, Any]:
    """Versions, machine and threads, on which results depend beside recipe and seed."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": _gpu(computing().device),
        "genkit": own_source(),
        "versions": installed(*PACKAGES),
    }


def _gpu(device: torch.device) -> str | None:
    """Its name; of Apple's, which have none, the kind."""
    if device.type == "cpu":
        return None
    return str(getattr(torch.get_device_module(device), "get_device_name", lambda: device.type)())
