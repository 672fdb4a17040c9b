"""accelerate, as a recipe asks for it: devices, processes, precision, trackers."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import parse_flag_from_env

from genkit.core.errors import RecipeError
from genkit.core.interruption import StopFlag
from genkit.training.recipe import Recipe

WAIT = timedelta(days=30)
"""Timeout of communication: the first process may score for hours, and a lost one is noticed at once anyway."""


def accelerator_of(recipe: Recipe, project: Path | None = None) -> Accelerator:
    """An Accelerator at the recipe's precision, even after a training at another one in this process.

    Args:
        project: folder that trackers write to; None leaves them out.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    _check_devices()
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=WAIT)],
        mixed_precision=recipe.train.precision,
        log_with=(trackers_of(recipe) or None) if project else None,
        project_dir=project,
    )


def _check_devices() -> None:
    """Raises RecipeError for processes of this machine that would share a GPU, which NCCL refuses in its own words."""
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if 0 < gpus < here and not parse_flag_from_env("ACCELERATE_USE_CPU"):
        raise RecipeError(
            f"{here} processes need a GPU each, and this machine has {gpus}; launch with --num_processes {gpus}, or on "
            "the CPU with --cpu"
        )


def trackers_of(recipe: Recipe) -> list[str]:
    """Trackers that the recipe asks for and that are installed."""
    from accelerate.utils import is_tensorboard_available, is_wandb_available

    there = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
    return [name for name in recipe.train.trackers if there[name]()]


def asked_to_stop(accelerator: Accelerator, stop: StopFlag) -> bool:
    """Whether a signal came to any process; all of them then know its number."""
    if accelerator.num_processes > 1:
        asked = torch.tensor([stop.number], device=accelerator.device)
        stop.number = int(accelerator.gather(asked).max())
    return bool(stop)


def from_main(accelerator: Accelerator, text: str) -> str:
    """`text` of the first process, on all."""
    if accelerator.num_processes == 1:
        return text
    from accelerate.utils import broadcast_object_list

    return str(broadcast_object_list([text])[0])
