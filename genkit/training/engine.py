"""accelerate, as a recipe asks for it: devices, processes, precision, trackers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from genkit.training.recipe import Recipe

WAIT = timedelta(days=30)
"""For what another process is at: the first one scores for hours, and one that is gone is heard of at once."""


def accelerator_of(recipe: Recipe, project: Path | None = None) -> Accelerator:
    """An Accelerator at the recipe's precision, whatever a training before it in this process had.

    Args:
        project: where trackers write; None is without them.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=WAIT)],
        mixed_precision=recipe.train.precision,
        log_with=(trackers_of(recipe) or None) if project else None,
        project_dir=project,
    )


def trackers_of(recipe: Recipe) -> list[str]:
    """Those that the recipe asks for and that are installed."""
    from accelerate.utils import is_tensorboard_available, is_wandb_available

    there = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
    return [name for name in recipe.train.trackers if there[name]()]


def from_main(accelerator: Accelerator, text: str) -> str:
    """`text` of the first process, on all."""
    if accelerator.num_processes == 1:
        return text
    from accelerate.utils import broadcast_object_list

    return str(broadcast_object_list([text])[0])
