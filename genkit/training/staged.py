"""A recipe of several trainings, one after the other, where a later one uses products of an earlier one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genkit.core import catalog
from genkit.core.documents import Unreadable, check_plain
from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.location import OWN_FOLDERS, locate
from genkit.core.pretrained import Pretrained, built, configuration
from genkit.core.reference import PRODUCT, WEIGHTS, below, changed, check_reference, is_reference
from genkit.training.place import NOWHERE, RecipePlace
from genkit.training.preparation import check_evaluation, checked
from genkit.training.recipe import Evaluate, Recipe, check_name, section
from genkit.training.recipe_file import SHARED, STAGES, as_written_today, find_recipe, read_recipe, spread

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
Stage = Recipe | dict[str, Any]
"""A training, or `{weights: NAME}` where it is finished."""


@dataclass(frozen=True)
class StagedRecipe:
    """A checked recipe with stages.

    Attributes:
        stages: by name, in the order of training.
        product: spec of the final product, which may name stages; None is the last one's main product.
        evaluate: the scoring of `product`.
    """

    name: str
    stages: dict[str, Stage]
    product: dict[str, Any] | None = None
    evaluate: Evaluate | None = None
    description: str = ""
    place: RecipePlace = field(default=NOWHERE, init=False, compare=False, repr=False)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], place: RecipePlace = NOWHERE) -> StagedRecipe:
        """From nested mappings, checked as those of `Recipe.from_dict`.

        Raises:
            RecipeError: beginning with the key's path.
        """
        with place.naming_the_file():
            _check_tree(tree)
            tree = spread(below(as_written_today(tree), Path.cwd()), {})
            evaluate = section(Evaluate, tree["evaluate"], "evaluate") if tree.get("evaluate") is not None else None
            texts = catalog.check_arguments(_Texts, {k: tree[k] for k in ("name", "description") if k in tree})
            check_name(texts["name"])
        stages = {name: _stage(name, stage, tree, place) for name, stage in tree[STAGES].items()}
        made = cls(**texts, stages=stages, product=tree.get("product"), evaluate=evaluate)
        object.__setattr__(made, "place", place)
        return made

    @property
    def trainings(self) -> dict[str, Recipe]:
        """The stages that are trained."""
        return {name: stage for name, stage in self.stages.items() if isinstance(stage, Recipe)}

    def to_dict(self) -> dict[str, Any]:
        stages = {k: s.to_dict() if isinstance(s, Recipe) else s for k, s in self.stages.items()}
        tree = {"name": self.name, "description": self.description, STAGES: stages, "product": self.product}
        tree |= {"evaluate": dataclasses.asdict(self.evaluate) if self.evaluate else None}
        return {k: v for k, v in tree.items() if v not in (None, "")}

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def in_run(self, run: Path) -> dict[str, Recipe]:
        """The trainings, each with the folders of this run for the stages before it."""
        made = self._finished_in(run)
        return {name: recipe.at(recipe.place.after(made)) for name, recipe in self.trainings.items()}

    def check(self, processes: int = 1) -> None:
        """Builds every stage and the product with untrained parts, so that errors show before time is spent.

        Raises:
            RecipeError, WeightsError: of the first stage that cannot be.
        """
        made: dict[str, Any] = {}
        for name, stage in in_turn(self, made):
            with stage.place.naming_the_file():
                made[name] = dict(checked(stage, processes)[0].products)
        product = self.build_product(made)
        if product is not None and self.evaluate:
            check_evaluation(self.evaluate, product)

    def unloaded(self, name: str) -> dict[str, Any]:
        """The products of a stage that is given as weights: the main one built, but its weights not loaded.

        Raises:
            RecipeError, WeightsError: there are none.
        """
        stage, where = self.stages[name], f"{STAGES}.{name}"
        assert isinstance(stage, dict)
        check_reference(object, stage, where)
        found = locate(stage[WEIGHTS], stage.get(PRODUCT, ""))
        return {"": built(configuration(found), where)}

    def build_product(self, stages: Mapping[str, Any]) -> Pretrained | None:
        """The final product, built of these stages (see `RecipePlace.stages`); None where it is the last stage's.

        Raises:
            RecipeError: it names no stage, or its parts do not fit.
        """
        if self.product is None:
            return None
        with self.place.naming_the_file():
            spec = self.place.after(stages).found(self.product, "product")
            made: Pretrained = catalog.build(spec, makes=Pretrained, where="product")
        return made

    def _finished_in(self, run: Path) -> dict[str, Any]:
        folder = run.absolute()
        return {k: {WEIGHTS: str(folder / k)} if isinstance(s, Recipe) else s for k, s in self.stages.items()}

    def product_of(self, run: Path) -> Pretrained | None:
        """The final product of the stages in a run folder in their present state; see `build_product`."""
        return self.build_product(self._finished_in(run))


def in_turn(recipe: Recipe | StagedRecipe, made: dict[str, Any]) -> Iterator[tuple[str, Recipe]]:
    """The trainings of a recipe by stage, "" where it has none, each placed after the stages before it.

    Args:
        made: products by stage (see `RecipePlace.stages`), to which the caller adds those of each training; the
            finished stages are added here, their weights not loaded.
    """
    if isinstance(recipe, Recipe):
        yield "", recipe
        return
    for name, stage in recipe.stages.items():
        if isinstance(stage, Recipe):
            yield name, stage.at(stage.place.after(made))
        else:
            made[name] = recipe.unloaded(name)


@dataclass(frozen=True)
class _Texts:
    name: str
    description: str = ""


def _check_tree(tree: Mapping[str, Any]) -> None:
    keys = ("name", "description", STAGES, "product", *SHARED)
    try:
        check_plain(tree)
    except Unreadable as fault:
        raise RecipeError(str(fault)) from fault
    for key in tree:
        if key not in keys:
            raise RecipeError(f"{key!s:.60}: unknown key of a recipe with {STAGES}{suggest(str(key), keys)}")
    stages, product = tree[STAGES], tree.get("product")
    if not isinstance(stages, Mapping) or not stages:
        raise RecipeError(f"{STAGES}: needs a mapping of names to trainings, got {shown(stages)}")
    if product is not None and (not isinstance(product, Mapping) or "type" not in product):
        raise RecipeError(
            f"product: needs a mapping with the key 'type', built of what stages leave; got {shown(product)}"
        )
    if all(map(is_reference, stages.values())):
        raise RecipeError(f"{STAGES}: all are given as weights; there is nothing to train")
    for name, stage in stages.items():
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in OWN_FOLDERS:
            raise RecipeError(
                f"{STAGES}: {shown(name)} names a folder of the run: letters, digits, - and _, and none of "
                f"{', '.join(OWN_FOLDERS)}"
            )
        if not isinstance(stage, Mapping):
            raise RecipeError(f"{STAGES}.{name}: needs a mapping, got {shown(stage)}")


def _stage(name: str, stage: Mapping[str, Any], tree: Mapping[str, Any], place: RecipePlace) -> Stage:
    if is_reference(stage):
        return dict(stage)
    mine = RecipePlace(place.files, where=f"{STAGES}.{name}")
    return Recipe.from_dict({**stage, "name": f"{tree['name']}-{name}"}, mine)


def load_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe | StagedRecipe:
    """From a YAML file or the name of a shipped recipe, `key.path=value` overrides applied.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key or value is wrong.
    """
    tree, files = read_recipe(source, overrides)
    return recipe_of(tree, RecipePlace(files, run=find_recipe(source).parent))


def skipping_bad(recipe: Recipe | StagedRecipe) -> Recipe | StagedRecipe:
    """The recipe with files left out that cannot be used, in place of stopping at the first.

    Raises:
        RecipeError: it reads no folder or zip.
    """

    def skip(node: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**node, "skip_bad": True} if node.get("type") == "folder" else node

    tree = recipe.to_dict()
    if (made := changed(tree, skip)) == tree and "skip_bad" not in recipe.to_yaml():
        raise RecipeError("--skip-bad is of a folder or zip of images, and this recipe reads none; leave it out")
    return recipe_of(made, recipe.place)


def recipe_of(tree: Mapping[str, Any], place: RecipePlace = NOWHERE) -> Recipe | StagedRecipe:
    """The recipe of one training, or of one with stages, that a tree describes; see their `from_dict`."""
    return StagedRecipe.from_dict(tree, place) if STAGES in tree else Recipe.from_dict(tree, place)
