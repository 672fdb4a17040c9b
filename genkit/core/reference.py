"""`{weights: NAME_OR_PATH}` where a file describes a module: a finished one, built, loaded and frozen.

`{weights: ..., product: NAME}` takes another product of a run than its main one, such as the critic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import exists
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genkit.core.errors import RecipeError, WeightsError, kind_of, shown
from genkit.core.files import at_home

if TYPE_CHECKING:
    from genkit.core.location import Unfinished

WEIGHTS, PRODUCT = "weights", "product"


def is_reference(value: Any) -> bool:
    """Whether `value` names weights instead of describing a module."""
    return isinstance(value, Mapping) and WEIGHTS in value and "type" not in value


def changed(tree: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    """A copy of `tree` in which every mapping is replaced by `change` of it, the innermost first."""
    if isinstance(tree, Mapping):
        return change({key: changed(value, change) for key, value in tree.items()})
    return [changed(value, change) for value in tree] if isinstance(tree, list) else tree


def below(tree: Any, folder: Path) -> Any:
    """A copy of the content of a file in `folder`: relative paths of weights made absolute, shipped names kept."""

    def absolute(node: Mapping[str, Any]) -> Any:
        source = node.get(WEIGHTS)
        if not is_reference(node) or not node.keys() <= {WEIGHTS, PRODUCT} or not isinstance(source, str):
            return node
        path = folder / at_home(source)
        kept = not source or not (exists(path) or _is_path(at_home(source), folder))
        return {**node, WEIGHTS: source if kept else str(path.absolute())}

    return changed(tree, absolute)


def _is_path(source: str, folder: Path) -> bool:
    """Whether a missing `source` can only be a path: it is no shipped name, and no id of a hub."""
    from genkit.core.catalog import shipped

    parts = Path(source).parts
    hub = len(parts) == 2 and parts[0] not in (".", "..") and not exists(folder / parts[0])
    return not exists(shipped("weights") / source) and not hub


def contained(config: Any, folder: Path) -> Any:
    """A copy of the config.json in `folder` that names no weights but shipped ones and those inside the folder.

    Raises:
        WeightsError: it names others: a file from elsewhere must not choose what is read here.
    """
    from genkit.core.catalog import shipped

    def inside(node: Mapping[str, Any]) -> Any:
        source = node.get(WEIGHTS)
        if not is_reference(node) or not isinstance(source, str):
            return node
        names = [path.name for path in shipped("weights").glob("*/")]
        path = (folder / source).resolve()
        if source in names:
            return {**node, WEIGHTS: str(shipped("weights") / source)}
        if path == folder.resolve() or not path.is_relative_to(folder.resolve()):
            raise WeightsError(
                f"{folder}: the configuration names weights {shown(source)} outside its folder, which are not read; "
                "put them inside, or name shipped ones"
            )
        return {**node, WEIGHTS: str(path)}

    return changed(config, inside)


def check_reference(wanted: type, value: Mapping[str, Any], where: str) -> None:
    """Checks that the weights exist and hold a `wanted`, by their configuration alone.

    Raises:
        RecipeError, WeightsError: they are not, or do not.
    """
    from genkit.core import catalog
    from genkit.core.conversion import at, join
    from genkit.core.pretrained import configuration

    found = _locate(value, where)
    config = configuration(found)
    if config is None:  # an unfinished run of an older version, known once it is loaded
        return
    make = catalog.find(config.get("type") if isinstance(config, Mapping) else None, where=join(where, WEIGHTS))
    if not catalog.may_make(make, wanted):
        raise RecipeError(f"{at(where)}{value[WEIGHTS]} holds {kind_of(make)}, not {kind_of(wanted)}")


def load_reference(wanted: type, value: Mapping[str, Any], where: str) -> Any:
    """The frozen module. No random number is drawn, so that modules built after it start as they would without.

    Raises:
        RecipeError, WeightsError: no such weights, damaged, or of something else.
    """
    import torch
    from torch import nn

    from genkit.core.conversion import at
    from genkit.core.frozen import freeze
    from genkit.core.pretrained import loaded

    with torch.random.fork_rng(devices=[]):
        module = loaded(_locate(value, where))
    if not isinstance(module, wanted) or not isinstance(module, nn.Module):
        raise RecipeError(f"{at(where)}{value[WEIGHTS]} holds {kind_of(module)}, not {kind_of(wanted)}")
    return freeze(module)


def _locate(value: Mapping[str, Any], where: str) -> Path | Unfinished:
    from genkit.core.conversion import at, join
    from genkit.core.location import locate

    for key, given in value.items():
        if key not in (WEIGHTS, PRODUCT):
            raise RecipeError(f"{join(where, f'{key!s:.60}')}: unknown key; weights take nothing but a product")
        if not isinstance(given, str) or not given:
            raise RecipeError(f"{join(where, key)}: needs a name or a path, got {shown(given)}")
    try:
        return locate(value[WEIGHTS], value.get(PRODUCT, ""))
    except WeightsError as missing:
        raise WeightsError(f"{at(where)}{missing}") from missing
