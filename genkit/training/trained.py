"""What a run has learned beside its product: the whole system, as its newest checkpoint holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file

from genkit.core.errors import CheckpointError
from genkit.core.system import System
from genkit.core.tensors import load_into
from genkit.training.checkpoint import newest_good
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder


def trained_system(run: str | Path, warn: Callable[[str], None] = lambda line: None) -> tuple[Recipe, System]:
    """The recipe and the system of a run folder, in eval mode on the CPU: critic, weight network and all.

    Args:
        run: a run folder, finished or not. For systems that need no training set to know their sizes.
        warn: called with a line for each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: no run, no whole checkpoint, or one that does not fit the recipe beside it.
    """
    folder = RunFolder(run)
    if not folder.recipe.is_file():
        raise CheckpointError(
            f"{run} is no run folder; give what genkit train wrote, with recipe.yaml and checkpoints/"
        )
    recipe = Recipe.load(folder.recipe)
    checkpoint = newest_good(folder.checkpoints, warn)
    if checkpoint is None:
        raise CheckpointError(f"{run} holds no whole checkpoint; critics are kept in checkpoints/, not in weights/")
    system = recipe.build_system()
    try:
        load_into(system, load_file(checkpoint / "system.safetensors"))
    except ValueError as misfit:
        reason = str(misfit).splitlines()[0]
        raise CheckpointError(f"{checkpoint} does not fit {folder.recipe}: {reason}") from misfit
    return recipe, system.eval()
