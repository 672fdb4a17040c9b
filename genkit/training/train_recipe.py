"""What `genkit train` and `genkit.train` do."""

from __future__ import annotations

from pathlib import Path

from genkit.core.errors import RecipeError
from genkit.training.engine import accelerator_of
from genkit.training.recipe import Recipe
from genkit.training.run import train_one
from genkit.training.run_folder import RunFolder
from genkit.training.staged import StagedRecipe, load_recipe
from genkit.training.stages import train_stages
from genkit.training.watcher import Silence, Watcher


def train(
    recipe: Recipe | StagedRecipe | str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    start: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Path:
    """Trains `recipe` into the run folder `out` (default runs/<name>) and returns the folder.

    Resuming goes on from the newest good checkpoint, and what comes out equals an uninterrupted run bit for bit on the
    same machine, versions and number of processes. A recipe with stages is trained stage by stage, each in a folder of
    its name; resuming goes on in the stage that was under way.

    Args:
        start: weights or a run that a new run begins from; see genkit.training.start.

    Raises:
        RecipeError, DataError: the recipe or the data cannot be used.
        WeightsError: `start`, or weights that the recipe names, cannot be used.
        CheckpointError: the folder is taken, of another recipe or other data, or cannot be written.
        TrainingError: a loss is not finite.
        Stopped: a signal asked to stop; a checkpoint has been written.
        ProcessLost: another process of the run is gone.
    """
    recipe = recipe if isinstance(recipe, (Recipe, StagedRecipe)) else load_recipe(recipe)
    out = Path(out or Path("runs") / recipe.name)
    if isinstance(recipe, StagedRecipe):
        if start is not None:
            raise RecipeError("--from begins one training; a stage that exists is given as {weights: NAME} instead")
        return train_stages(recipe, out, resume, watcher or Silence())
    begin = None if start is None else str(start)
    accelerator = accelerator_of(recipe, out)
    train_one(recipe, RunFolder(out), accelerator, resume=resume, start=begin, watcher=watcher)
    return out
