"""The surroundings of a recipe: the files it was read from, and the stages before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genkit.core.conversion import join
from genkit.core.errors import RecipeError, shown
from genkit.core.frozen import freeze
from genkit.core.reference import PRODUCT, WEIGHTS, changed, is_reference
from genkit.training.recipe_file import RecipeFile

STAGE = "stage"
KEY = re.compile(r"[\w.\[\]]+(?=: )")


@dataclass(frozen=True)
class RecipePlace:
    """The files a recipe was read from and the run and stages it belongs to.

    Attributes:
        files: files and overrides that it is made of, the nearest first.
        where: path of its keys in them, `stages.NAME` for a stage.
        run: folder of its run; earlier stages lie beside it.
        stages: NAME -> the value of `{stage: NAME}`: weights, or products by name, the main one first.
    """

    files: Sequence[RecipeFile] = ()
    where: str = ""
    run: Path | None = None
    stages: Mapping[str, Any] = field(default_factory=dict)

    def after(self, stages: Mapping[str, Any]) -> RecipePlace:
        """The same once these stages are there."""
        return replace(self, stages=stages)

    @property
    def _several(self) -> bool:
        return sum(file.path is not None for file in self.files) > 1

    @contextmanager
    def naming_the_file(self) -> Iterator[None]:
        """Completes the key that an error begins with to its full path, and adds its file where there are several."""
        try:
            yield
        except RecipeError as error:
            if getattr(error, "placed", False) or not (self.where or self._several):
                raise
            raise self._placed(str(error)) from error

    def _placed(self, message: str) -> RecipeError:
        own = KEY.match(message)
        message = (join(self.where, message) if own else f"{self.where}: {message}") if self.where else message
        key = KEY.match(message)
        said = (f for f in self.files if key and (f.says(key[0]) or (not f.path and own and f.says(own[0]))))
        file = next(said, None)
        whole = key[0].rpartition(".")[0] if key else ""
        if file and file.path and any(f.path is None and f.says(f"{whole}.type") for f in self.files):
            message += f" (its type alone was changed: give all of it, as {whole}={{type: ..., ...}})"
        error = RecipeError(f"{file.path}: {message}" if file and file.path and self._several else message)
        error.placed = True  # type: ignore[attr-defined]
        return error

    def found(self, spec: Any, where: str) -> Any:
        """A copy of `spec` with the products of stages in place of `{stage: NAME}`, frozen where they are modules.

        Raises:
            RecipeError: no such stage before this one, or no such product.
        """
        return changed(spec, lambda node: self._product(node, where) if _names_a_stage(node) else node)

    def _product(self, node: Mapping[str, Any], where: str) -> Any:
        for key in node.keys() - {STAGE, PRODUCT}:
            raise RecipeError(f"{where}: {shown(key)} beside {STAGE}: unknown key; a stage takes nothing but a product")
        name, product = node[STAGE], node.get(PRODUCT)
        stage = self._stage(name, where)
        if not is_reference(stage):
            if product is not None and product not in stage:
                raise RecipeError(f"{where}: stage {name} has no product {shown(product)}; it has {', '.join(stage)}")
            return freeze(next(iter(stage.values())) if product is None else stage[product])
        return dict(stage) if product is None else {**stage, PRODUCT: product}

    def _stage(self, name: Any, where: str) -> Any:
        if isinstance(name, str) and name in self.stages:
            return self.stages[name]
        if isinstance(name, str) and self.run and not self.where and (self.run.parent / Path(name).name).is_dir():
            return {WEIGHTS: str((self.run.parent / Path(name).name).absolute())}
        there = f"there are {', '.join(self.stages)}" if self.stages else "there is none"
        raise RecipeError(f"{where}: no stage {shown(name)} comes before this one; {there}")


def _names_a_stage(node: Mapping[str, Any]) -> bool:
    return STAGE in node and "type" not in node


NOWHERE = RecipePlace()
