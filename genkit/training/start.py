"""Starting a new run from the networks of a run or from finished weights, and loading the system of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from genkit.core.errors import CheckpointError, RecipeError, WeightsError, kind_of
from genkit.core.generator import Generator
from genkit.core.location import locate, products_of
from genkit.core.pretrained import Pretrained, described, loaded
from genkit.core.system import System
from genkit.core.tensors import current, load_into
from genkit.training.checkpoint import complete, newest_good, step_of
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.training.trainer import Trainer

OF_CLASSES = ("classes", "unlabelled", "class_names")
"""Arguments of networks that go with the number of classes."""


def check_start(source: str | Path) -> None:
    """Raises WeightsError unless there is something at `source` to start from."""
    if not RunFolder(source).recipe.is_file() or not complete(RunFolder(source).checkpoints):
        locate(source)


def start_of(recipe: Recipe, given: str | None) -> str | None:
    """The weights or the run that a new run begins from: those `given` with --from, or the recipe's.

    Raises:
        RecipeError: these are two.
    """
    if given and recipe.start and given != recipe.start:
        advice = f"leave --from out, or say start={given} in its place"
        raise RecipeError(f"start: the recipe begins from {recipe.start}, and --from is {given}; {advice}")
    return given or recipe.start


def start_from(source: str | Path, trainer: Trainer, warn: Callable[[str], None]) -> str:
    """Puts the weights of `source` into `trainer`, whose optimisers and data begin anew; returns a line about them.

    From a run with the same system, all networks of its newest good checkpoint are taken, and the averaged copy; else
    the product in its weights folder, and those that lie beside it, such as the critic. Where the classes alone are
    others, what depends on them is taken as far as it fits, and the rest begins anew.

    Raises:
        WeightsError, CheckpointError: nothing there, damaged, or of another kind.
    """
    folder = RunFolder(source)
    checkpoint = newest_good(folder.checkpoints, warn) if folder.recipe.is_file() else None
    if checkpoint and _whole_system(checkpoint, trainer):
        return f"starts from {source}, iteration {step_of(checkpoint):,}: all its networks"
    made, product = Pretrained.from_pretrained(source), trainer.system.product
    if type(made) is not type(product):
        raise WeightsError(f"{source} holds {kind_of(made)}, and this recipe trains {kind_of(product)}")
    assert isinstance(made, nn.Module) and isinstance(product, nn.Module)
    for module in (product, trainer.ema.module):
        _fill(module, made, source)
    taken = set(product.modules())
    for module in _beside(source, trainer):
        taken |= set(module.modules())
    new = [name for name, modules in trainer.learners.items() if taken.isdisjoint(modules)]
    line = f"starts from the weights of {source}"
    if (theirs := _makes(made)) != (mine := _makes(product)):
        line += f", which make {theirs}, here {mine}: what depends on the classes is taken as far as it fits"
    return line + (f"; new are {', '.join(sorted(new))}" if new else "")


def _beside(source: str | Path, trainer: Trainer) -> Iterator[nn.Module]:
    """Fills the trainer's other products with those of `source`, as far as they are the same networks."""
    there, (_, *others) = products_of(source), trainer.system.products.items()
    for name, mine in others:
        if name not in there:
            continue
        made = loaded(locate(source, name))
        assert isinstance(mine, nn.Module)
        if type(made) is type(mine) and not _misfit(mine, made):
            _fill(mine, made, source)
            yield mine


def _whole_system(checkpoint: Path, trainer: Trainer) -> bool:
    """Loads the checkpoint if it fits; returns whether it did."""
    state = current(trainer.system, load_file(checkpoint / "system.safetensors"))
    mine = trainer.system.state_dict()
    state |= {name: mine[name] for name in trainer.system.local_state}
    averaged = load_file(checkpoint / "ema.safetensors")
    alike = all(
        a.keys() == b.keys() and all(a[k].shape == b[k].shape for k in a)
        for a, b in ((state, mine), (averaged, trainer.ema.module.state_dict()))
    )
    if alike:
        load_into(trainer.system, state)
        load_into(trainer.ema.module, averaged)
    return alike


def _fill(module: nn.Module, made: nn.Module, source: str | Path) -> None:
    """Copies the parameters of `made`, and its buffers of equal size: others, such as exemplars, belong to the data."""
    if misfit := _misfit(module, made):
        raise CheckpointError(f"{source} does not fit this recipe: {_difference(made, module, misfit)}")
    given, mine, learned = made.state_dict(), module.state_dict(), dict(module.named_parameters())
    fitting = {k: given[k] if k in given and given[k].shape == v.shape else v for k, v in mine.items()}
    fitting |= {k: _corner(given[k], mine[k]) for k in learned if k in given and given[k].shape != mine[k].shape}
    load_into(module, fitting)


def _misfit(module: Any, made: Any) -> str:
    """A parameter that keeps `made` from filling `module`; "" where none does, or the classes alone are others."""
    given, learned = made.state_dict(), dict(module.named_parameters())
    misfits = sorted(k for k in learned if k not in given or given[k].shape != learned[k].shape)
    if not misfits or _but_for_classes(described(made)) == _but_for_classes(described(module)):
        return ""
    return misfits[0]


def _but_for_classes(config: Any) -> Any:
    """A module's arguments without those that say how many classes there are."""
    if isinstance(config, dict):
        return {k: _but_for_classes(v) for k, v in config.items() if k not in OF_CLASSES}
    return config


def _corner(given: Tensor, mine: Tensor) -> Tensor:
    """`mine` with the values of `given` wherever both have some."""
    if given.ndim != mine.ndim:
        return mine
    whole, both = mine.clone(), tuple(slice(min(a, b)) for a, b in zip(given.shape, mine.shape, strict=True))
    whole[both] = given[both].to(mine)
    return whole


def _difference(made: nn.Module, module: nn.Module, parameter: str) -> str:
    """The difference of two modules in words: of what they make if there is one, else of a parameter."""
    if (theirs := _makes(made)) != (mine := _makes(module)):
        return f"it makes {theirs}, and the recipe {mine}; start without --from, or from weights that make the same"
    return f"{parameter} is missing or of another shape"


def _makes(module: nn.Module) -> str:
    if not isinstance(module, Generator):
        return ""
    classes = module.conditions.classes
    return f"{' x '.join(map(str, module.sample_shape))}" + (f" in {classes} classes" if classes else "")


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
            f"{run} is no run folder; give one that genkit train wrote, with recipe.yaml and checkpoints/"
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
