"""Checks that a system, its optimisers and its batch fit together, before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from genkit.core.catalog import documented, name_of
from genkit.core.errors import RecipeError, kind_of, shown, suggest, with_article
from genkit.core.frozen import is_frozen, learnable
from genkit.core.pretrained import Pretrained
from genkit.core.system import System, mixing_layer

PLAIN = re.compile(r"[\w-]+", re.ASCII)
"""Names of folders, on any file system."""


def check_learners(learners: Mapping[str, Sequence[nn.Module]], optimizers: Mapping[str, object]) -> None:
    """Raises RecipeError unless every learner has something to learn and an optimiser, every optimiser a learner."""
    for name in learners:
        if name not in optimizers:
            raise RecipeError(f"optimizers: the {name} has none; learners: {', '.join(sorted(learners))}")
    for name in optimizers:
        if name not in learners:
            raise RecipeError(f"optimizers.{name}: there is no such learner{suggest(name, learners)}")
    for name, modules in learners.items():
        if any(is_frozen(m) for module in modules for m in module.modules()) and not any(map(learnable, modules)):
            raise RecipeError(
                f"system: the {name} is given as weights, which are frozen, but it must learn; give its type, and "
                "begin the run --from the weights"
            )


def check_products(products: Any) -> None:
    """Raises RecipeError unless the results of a system, main one first, can be saved under their names."""
    if not isinstance(products, Mapping) or not products:
        raise RecipeError(f"products of the system: needs names with what is left, got {shown(products)}")
    for name, product in products.items():
        if not isinstance(name, str) or not PLAIN.fullmatch(name):
            raise RecipeError(f"products of the system: {shown(name)} names a folder: letters, digits, - and _")
        if not isinstance(product, Pretrained) or not isinstance(product, nn.Module):
            raise RecipeError(
                f"products of the system: {name} is {kind_of(product)}, which cannot be saved; {documented(Pretrained)}"
            )


def check_split(system: System, share: int, accumulate: int) -> None:
    """Raises RecipeError if a batch cannot be split into equal micro-batches, or a layer mixes its samples."""
    if share % accumulate:
        raise RecipeError(f"train.accumulate: {share} rows a process cannot be split into {accumulate} equal parts")
    if accumulate > 1 and (layer := mixing_layer(system)):
        raise unsplittable(with_article(layer), accumulate)


def unsplittable(what: str, accumulate: int) -> RecipeError:
    """The error of a batch that cannot be split, since `what` couples its samples."""
    return RecipeError(
        f"train.accumulate: {what} couples the samples of a batch, so it cannot be split into {accumulate}; "
        "set train.accumulate to 1 or lower train.batch_size"
    )


def check_compiled(system: System, compile: bool) -> None:
    """Raises RecipeError for compiled networks where a loss differentiates twice."""
    twice = {m for m in system.modules() if getattr(m, "differentiates_twice", False)}
    if compile and twice:
        names = ", ".join(sorted({name_of(type(m)) for m in twice}))
        raise RecipeError(f"train.compile: {names} differentiates twice, which torch.compile cannot; leave it off")
