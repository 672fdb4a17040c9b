"""Directions in a folder: tensors, and a text file with names that a person edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from genkit.core import catalog
from genkit.core.documents import Unreadable, read_yaml
from genkit.core.errors import GenkitError, WeightsError, shown
from genkit.core.files import write_atomically
from genkit.core.fingerprint import weights_fingerprint
from genkit.core.generator import LatentGenerator
from genkit.core.styled import MovesStyles
from genkit.posthoc.directions.deformators import Deformator, FixedDirections
from genkit.posthoc.directions.directions import Directions

TENSORS, TEXT = "directions.safetensors", "directions.yaml"
ABOUT = (
    "# Names may be edited: `genkit edit WEIGHTS --directions FOLDER --direction NAME=STRENGTH` takes them.\n"
    "# A strength is in units of the latent's standard deviation.\n"
)


def write_directions(folder: Path, directions: Directions, method: str) -> None:
    """Writes both files.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    deformator = directions.deformator
    state = {f"deformator.{k}": v for k, v in deformator.state_dict().items()} if not deformator.straight else {}
    tensors = {"directions": directions.rows(), "unit": directions.unit, "mean": directions.mean, **state}
    plain = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    content = {
        "method": method,
        "space": directions.space.name,
        "generator": weights_fingerprint(directions.generator),
        **({} if deformator.straight else {"deformator": deformator.config}),
        "names": dict(enumerate(directions.names)),
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    write_atomically(folder / TENSORS, save(plain, metadata={"format": "pt"}))
    write_atomically(folder / TEXT, (ABOUT + text).encode())


def check_unnamed(folder: Path) -> None:
    """Raises WeightsError where somebody has written names, or anything else, into the text of a folder.

    Directions that are found anew would replace it.
    """
    path = folder / TEXT
    if not path.exists():
        return
    try:
        given = _content(folder).get("names")
    except (Unreadable, OSError):
        given = {0: TEXT}
    if not isinstance(given, dict) or any(given.values()):
        raise WeightsError(f"{path} holds names that were given, and would be replaced; choose another --out")


def read_directions(folder: str | Path, generator: LatentGenerator) -> Directions:
    """The directions in a folder, of `generator`.

    Raises:
        WeightsError: there are none, or what is there is damaged.
        GenkitError: they are of another latent, or a name is given twice.
    """
    folder = Path(folder)
    if not (folder / TENSORS).is_file() or not (folder / TEXT).is_file():
        raise WeightsError(f"{folder} holds no {TENSORS} and {TEXT}; 'genkit directions' writes them")
    try:
        content, tensors = _content(folder), load_file(folder / TENSORS)
        rows, unit, mean = (tensors[name] for name in ("directions", "unit", "mean"))
        if not len(rows) or not (unit.isfinite().all() and (unit > 0).all() and mean.isfinite().all()):
            raise RuntimeError("no direction, or a unit or mean that is none")
        deformator = _deformator(content, tensors, rows)
        found = Directions(generator, deformator, str(content["space"]), _names(content.get("names"), len(rows)))
        found.unit.copy_(unit)
        found.mean.copy_(mean)
    except Unreadable as damage:
        line = f":{damage.line}" if damage.line else ""
        raise WeightsError(f"{folder / TEXT}{line} is damaged ({damage})") from damage
    except (SafetensorError, OSError, KeyError, RuntimeError) as damage:
        raise WeightsError(f"{folder}: {TEXT} or {TENSORS} is damaged ({damage})") from damage
    except GenkitError as misfit:
        raise GenkitError(f"{folder}: {misfit}") from misfit
    return found.to(generator.device).eval()


def of_generator(folder: Path, generator: LatentGenerator) -> bool:
    """Whether the directions in a folder were found in the weights of `generator`, or before edits and truncation."""
    return comes_from(generator, found_in(folder))


def found_in(folder: Path) -> Any:
    """The fingerprint of the weights that the directions in a folder were found in."""
    return _content(folder).get("generator")


def comes_from(generator: LatentGenerator, found: Any) -> bool:
    """Whether the weights of `generator`, or those before edits and truncation, have this fingerprint."""
    while found != weights_fingerprint(generator):
        if not isinstance(generator, MovesStyles):
            return False
        generator = generator.generator  # type: ignore[attr-defined, assignment]
    return True


def _content(folder: Path) -> dict[str, Any]:
    content = read_yaml(folder / TEXT)
    if not isinstance(content, dict):
        raise Unreadable(f"it is no mapping but {shown(content)}")
    return content


def _deformator(content: dict[str, Any], tensors: dict[str, Any], rows: Any) -> Deformator:
    if "deformator" not in content:
        return FixedDirections.of(rows)
    made: Deformator = catalog.build(content["deformator"], makes=Deformator, where="deformator")
    made.load_state_dict({k.removeprefix("deformator."): v for k, v in tensors.items() if k.startswith("deformator.")})
    return made


def _names(given: Any, directions: int) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, dict) or not all(type(k) is int and 0 <= k < directions for k in given):
        raise GenkitError(
            f"{TEXT}: names are NUMBER: NAME, with numbers from 0 to {directions - 1}, got {shown(given)}"
        )
    for number, name in given.items():
        if name is not None and not isinstance(name, str):
            raise GenkitError(f"{TEXT}: the name of {number} is read as {name!r} and not as a text; put it in quotes")
    return [given.get(k) or "" for k in range(directions)]
