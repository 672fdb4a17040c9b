"""Location of weights: a folder, a run, a shipped name, or an id of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import nn

from genkit.core import catalog
from genkit.core.documents import Unreadable, read_json
from genkit.core.errors import WeightsError, suggest, suggest_file
from genkit.core.files import at_home, sha256_of_file

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PRODUCTS = "products.json"
"""File beside the weights of a run with several products: their names, the main one first."""

RECIPE = "recipe.yaml"
"""A folder with this file is a run."""
OWN_FOLDERS = ("weights", "checkpoints", "grids")
"""Folders of a run that it writes, and empties."""
SIGNS = ("environment.json", "checkpoints", f"weights/{CONFIG}")
"""One of these lies beside the recipe of a run that has begun."""

UNFINISHED = "genkit.training.unfinished:left_by"
"""Function that finds the product of an unfinished run; given by name, since core may not import training."""

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def has_begun(run: Path) -> bool:
    """Whether a run has begun in this folder; a recipe alone is none."""
    return (run / RECIPE).is_file() and any((run / sign).exists() for sign in SIGNS)


def among_files_of(path: Path) -> Path | None:
    """The run among whose weights, checkpoints or grids `path` is, or would be."""
    path = path.resolve()
    within = (run for run in path.parents if path.relative_to(run).parts[0] in OWN_FOLDERS)
    return next(filter(has_begun, within), None)


class Unfinished(Protocol):
    """The averaged weights of a run that has not finished.

    Attributes:
        checkpoint: its folder.
        config: of the module, None where only its recipe has it.
        sha256: of the weights.
    """

    @property
    def checkpoint(self) -> Path: ...
    @property
    def config(self) -> dict[str, Any] | None: ...
    @property
    def sha256(self) -> str: ...

    def product(self) -> nn.Module:
        """The product as if training ended here; warns that it has not ended."""
        ...


def locate(source: str | Path, product: str = "") -> Path | Unfinished:
    """The local folder of `source`, or the averaged weights of a run that has not finished.

    A path wins; then the `weights` of a run folder, a name under the shipped `weights/`, and an id of the Hugging Face
    Hub, owner/name or owner/name@revision, whose weights are downloaded.

    Args:
        product: name of a product of a run, such as "critic"; "" is its main one.

    Raises:
        WeightsError: nothing there, or no such product.
    """
    found = _locate(source)
    if not product:
        return found
    names = _products(found)
    if product not in names:
        kept = f"it keeps {', '.join(names)}" if names else "it keeps one product, which needs no name"
        raise WeightsError(f"{source} has no product {product!r:.60}; {kept}")
    assert isinstance(found, Path)
    return found if product == names[0] else found / product


def products_of(source: str | Path) -> list[str]:
    """Names of the products of `source`, the main one first; none where there is but one. Raises as `locate`."""
    return _products(_locate(source))


def _products(folder: Path | Unfinished) -> list[str]:
    if not isinstance(folder, Path):
        return []
    try:
        names = read_json(folder / PRODUCTS) if (folder / PRODUCTS).is_file() else []
    except Unreadable:
        return []
    return (
        [name for name in names if isinstance(name, str) and Path(name).name == name] if isinstance(names, list) else []
    )


def _locate(source: str | Path) -> Path | Unfinished:
    from genkit.core.hub import fetch, is_id

    path = Path(at_home(str(source)))
    for folder in (path, path / "weights", catalog.shipped("weights") / str(source)):
        if (folder / CONFIG).is_file():
            return folder
    left: Path | Unfinished | None = catalog.load(UNFINISHED)(path) if (path / RECIPE).is_file() else None
    if left:
        return left
    if path.is_file():
        raise WeightsError(f"{path} is a file; weights are a folder with {CONFIG} and {WEIGHTS}{about_pickle(path)}")
    if path.is_dir():
        raise WeightsError(f"{path} has no {CONFIG}; it is neither a weights folder nor a run with a whole checkpoint")
    if is_id(str(source)):
        return fetch(str(source))
    known = sorted(p.parent.name for p in catalog.shipped("weights").glob(f"*/{CONFIG}"))
    near = suggest_file(path) or suggest(str(source), known)
    hint = near if "did you mean" in near else ", see 'genkit list weights'"
    raise WeightsError(f"no weights at {source}; give a folder or one of the shipped{hint}")


def sha256_of_weights(source: str | Path) -> str:
    """Hash of the file that holds the weights of `source`.

    Raises:
        WeightsError: there are none.
    """
    found = locate(source)
    return sha256_of_file(found / WEIGHTS) if isinstance(found, Path) else found.sha256


def about_pickle(path: Path) -> str:
    if path.suffix in PICKLES:
        return (
            "; pickles can run code and are refused: use 'genkit import LAYOUT CHECKPOINT' for an author's checkpoint"
        )
    return ""
