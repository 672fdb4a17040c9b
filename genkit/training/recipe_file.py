"""The file of a recipe: found, read, completed by its base, and changed by overrides."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genkit.core import catalog
from genkit.core.documents import Unreadable, parse_yaml, read_yaml
from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.files import at_home
from genkit.core.location import RECIPE
from genkit.core.reference import below, changed, is_reference

BASE, STAGES = "base", "stages"
SHARED = ("data", "train", "every", "evaluate", "rollback")
"""Keys that may stand at the top for every stage; `evaluate` is for the product alone, where there is one."""


@dataclass(frozen=True)
class RecipeFile:
    """The content of one file without its base; without a path, of an override."""

    path: Path | None
    tree: Mapping[str, Any]

    def says(self, key: str) -> bool:
        """Whether `key.path[0].of.a.message` stands in this file."""
        node: Any = self.tree
        for part in key.replace("[", ".").replace("]", "").split("."):
            if isinstance(node, list) and part.isdecimal() and len(part) < 10 and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, Mapping) and part in node:
                node = node[part]
            else:
                return False
        return True


def find_recipe(source: str | Path) -> Path:
    """The file of a path, or of a shipped name such as `digits/wgan_ratio_clipping`."""
    from genkit.images.decoding import SUFFIXES

    path, recipes = Path(at_home(str(source))), catalog.shipped("recipes")
    if path.is_file() and path.suffix.lower() in (".zip", *SUFFIXES):
        raise RecipeError(f"{path} is no recipe; of images 'genkit new {shlex.quote(str(path))}' writes one")
    for candidate in (path, recipes / f"{source}.yaml", recipes / str(source)):
        if candidate.is_file():
            return candidate
    if path.suffix in (".yaml", ".yml"):
        near = suggest(path.name, [p.name for p in path.parent.glob("*.y*ml")])
        near = near if "did you mean" in near else "; 'genkit list recipes' names those that are shipped"
        raise RecipeError(f"{shown(str(source))} does not exist{near}")
    if path.is_dir() and not (recipes / str(source)).is_dir():
        own = path / RECIPE
        of_images = f"{path} is a folder; of images 'genkit new {shlex.quote(str(path))}' writes a recipe"
        raise RecipeError(f"{path} is a run; its recipe is {own}" if own.is_file() else of_images)
    near = suggest(str(source), shipped_recipes()).removesuffix("?")
    raise RecipeError(f"no recipe {shown(str(source))}{near}, or a YAML file? See 'genkit list recipes'")


def shipped_recipes() -> list[str]:
    """Names of the shipped recipes, `<dataset>/<system>`."""
    folder = catalog.shipped("recipes")
    files = (path for path in folder.glob("*/*.yaml") if path.parent.name != catalog.BENCHES)
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in files)


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], list[RecipeFile]]:
    """The whole tree of a recipe, `key.path=value` overrides applied, and the files that it is made of, its own first.

    Paths of weights in a file are relative to its folder, and absolute here.

    Raises:
        RecipeError: a file is missing or no YAML mapping, bases go round in a circle, or an override cannot be applied.
    """
    if isinstance(overrides, str):
        raise RecipeError(f"overrides are a list, as [{overrides!r:.60}], got a text")
    tree, files = _whole(find_recipe(source), ())
    of_stages = [override for override in overrides if override.startswith(f"{STAGES}.")]
    given = [_override(tree, override) for override in overrides if override not in of_stages]
    if isinstance(tree.get(STAGES), Mapping):
        tree, files = _with_stages(tree, files)
    given += [_override(tree, override) for override in of_stages]
    return tree, [*reversed(given), *files]


def _with_stages(tree: dict[str, Any], files: list[RecipeFile]) -> tuple[dict[str, Any], list[RecipeFile]]:
    own, bases, path = dict[str, Any](), dict[str, Mapping[str, Any]](), files[0].path
    assert path
    for name, stage in tree[STAGES].items():
        own[name] = {k: v for k, v in stage.items() if k != BASE} if isinstance(stage, Mapping) else stage
        if isinstance(stage, Mapping) and BASE in stage:
            bases[name], inner = _whole(_find_base(stage[BASE], path), ())
            files += [RecipeFile(written.path, {STAGES: {name: written.tree}}) for written in inner]
    return spread({**tree, STAGES: own}, bases), files


def spread(tree: Mapping[str, Any], bases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The tree with the keys at its top copied into every stage: over its base, under its own keys."""
    shared = [key for key in SHARED if key != "evaluate" or tree.get("product") is None]
    top = {key: tree[key] for key in shared if tree.get(key) is not None}
    stages = {
        name: copy.deepcopy(merged(merged(bases.get(name, {}), top), stage))
        if isinstance(stage, Mapping) and not is_reference(stage)
        else stage
        for name, stage in tree[STAGES].items()
    }
    return {**{k: v for k, v in tree.items() if k not in shared}, STAGES: stages}


def as_written_today(tree: Any) -> Any:
    """A copy of a recipe with the keys of today: `exemplar_augment` took the name of its weights, and now takes a VAE;
    `skip_bad` was `on_bad: skip`."""

    def today(node: Mapping[str, Any]) -> Any:
        if node.get("type") == "folder" and node.get("on_bad") in ("skip", "error") and "skip_bad" not in node:
            node = {("skip_bad" if k == "on_bad" else k): v == "skip" if k == "on_bad" else v for k, v in node.items()}
        if node.get("type") != "exemplar_augment" or not isinstance(node.get("weights"), str):
            return node
        return {("vae" if k == "weights" else k): {k: v} if k == "weights" else v for k, v in node.items()}

    return changed(tree, today)


def _whole(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], list[RecipeFile]]:
    """A file merged over its base; bases of its stages are located here and merged by `_with_stages`."""
    tree, above = below(_read(path), path.parent), (*above, path.resolve())
    if isinstance(stages := tree.get(STAGES), Mapping):
        tree[STAGES] = {name: _with_base_found(stage, path) for name, stage in stages.items()}
    if BASE not in tree:
        return tree, [RecipeFile(path, tree)]
    own, base = {k: v for k, v in tree.items() if k != BASE}, _find_base(tree[BASE], path)
    if base.resolve() in above:
        raise RecipeError(f"{path}: {BASE}: {shown(tree[BASE])} is made of this very recipe")
    whole, files = _whole(base, above)
    return merged(whole, own), [RecipeFile(path, own), *files]


def _with_base_found(stage: Any, path: Path) -> Any:
    found = isinstance(stage, Mapping) and BASE in stage
    return {**stage, BASE: str(_find_base(stage[BASE], path).absolute())} if found else stage


def _find_base(name: Any, path: Path) -> Path:
    if not isinstance(name, str) or not name:
        raise RecipeError(f"{path}: {BASE}: needs the name of a recipe, got {shown(name)}")
    near = path.parent / at_home(name)
    for candidate in (near, Path(f"{near}.yaml"), catalog.shipped("recipes") / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    raise RecipeError(
        f"{path}: {BASE}: no recipe {shown(name)}; give a path from the folder of this file, or a name that "
        "genkit list recipes shows"
    )


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `base`, key by key: a mapping with a `type` of its own, or a list, replaces; None removes."""
    found = {k: v for k, v in base.items() if not (k in own and own[k] is None)}
    for key, value in own.items():
        if value is not None:
            old = found.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping) and not _replaces(old, value)
            found[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return found


def _replaces(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` builds another thing than `old`: another type, or taken from weights or a stage."""
    if "type" in new:
        return bool(old.get("type") != new["type"])
    return any(isinstance(new.get(key), str) for key in ("weights", "stage"))


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = read_yaml(path)
    except Unreadable as fault:
        line = f" line {fault.line}:" if fault.line else ""
        raise RecipeError(f"{path}:{line} not valid YAML, {fault}") from fault
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds no mapping; a recipe starts with 'name:', 'data:', 'system:', ...")
    return tree


def _override(tree: dict[str, Any], override: str) -> RecipeFile:
    """Puts an override into the tree; returns its own content."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise RecipeError(f"override {shown(override)}: write key.path=value, such as train.steps=100")
    try:
        value = parse_yaml(text)
    except Unreadable as fault:
        raise RecipeError(f"override {shown(override)}: {shown(text)} is not a YAML value ({fault})") from fault
    *parents, last = path.split(".")
    node: Any = tree
    for depth, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[: depth + 1]))
    if isinstance(node, list):
        node[_position(node, last, path)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"override {shown(path)}: {shown('.'.join(parents))} has no keys")
    for part in reversed(path.split(".")):
        value = {part: value}
    return RecipeFile(None, value)


def _child(node: Any, part: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, path)]
    if not isinstance(node, dict):
        raise RecipeError(f"override {shown(path)}: there are no keys there")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


def _position(node: list[Any], part: str, path: str) -> int:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(node):
        raise RecipeError(f"override {shown(path)}: the list has positions 0 to {len(node) - 1}, got {shown(part)}")
    return int(part)
