"""accelerate, as a recipe asks for it: devices, processes, precision, trackers."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState

from genkit.core.computing import computing, refusal
from genkit.core.errors import RecipeError
from genkit.core.interruption import StopFlag
from genkit.training.recipe import Recipe

WAIT = timedelta(days=30)
"""Timeout of communication: the first process may score for hours, and a lost one is noticed at once anyway."""


def accelerator_of(recipe: Recipe, project: Path | None = None) -> Accelerator:
    """An Accelerator on this process's device at the recipe's precision, even after a training otherwise.

    Args:
        project: folder that trackers write to; None leaves them out.

    Raises:
        RecipeError: a precision that the device does not do, or processes that would share it.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    device = computing().device
    if refused := refusal(recipe.train.precision, device):
        raise RecipeError(f"train.precision: {refused}; set train.precision=no")
    join_processes()
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=recipe.train.precision,
        log_with=(trackers_of(recipe) or None) if project else None,
        project_dir=project,
    )


def join_processes() -> None:
    """Makes the processes of this launch, each on its device, known to each other.

    Raises:
        RecipeError: processes of this machine that would share a GPU, which NCCL refuses in its own words.
    """
    device = computing().device
    _check_devices(device)
    state = PartialState(cpu=device.type == "cpu", timeout=WAIT)
    if state.num_processes == 1:
        state.device = device


def _check_devices(device: torch.device) -> None:
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    gpus = 1 if device.type == "mps" else torch.accelerator.device_count()
    if device.type != "cpu" and gpus < here:
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
    """Whether a signal had come to any process; all of them then know its number.

    One that comes while the processes exchange what they know is left to the next time, in all of them alike.
    """
    if accelerator.num_processes == 1:
        return bool(stop)
    known = torch.tensor([stop.number], device=accelerator.device)
    if number := int(accelerator.gather(known).max()):
        stop.number = number
    return number != 0


def from_main(accelerator: Accelerator, text: str) -> str:
    """`text` of the first process, on all."""
    if accelerator.num_processes == 1:
        return text
    from accelerate.utils import broadcast_object_list

    return str(broadcast_object_list([text])[0])
