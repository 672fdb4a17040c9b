"""Ways to spoil a recipe, as hypothesis strategies."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from benchmarks.small_recipes import read, shrunk
from genkit.core.catalog import CATALOG
from genkit.core.table import TYPES
from genkit.training.recipe_file import shipped_recipes

Path = tuple[Any, ...]

TREES = [shrunk(read(name)) for name in shipped_recipes()]
NAMES = sorted({name for kind in TYPES for name in CATALOG[kind]})
KEYS = [
    "type",
    "steps",
    "size",
    "channels",
    "name",
    "lr",
    "generator",
    "path",
    "ünïcødé",
    "",
    "../x",
    "a b",
    "__class__",
]
NUMBERS = [-(10**9), -1, -0.5, 0, 1, 2, 3, 7, 0.5, 10**9, 2**63, -(2**70), 10**400, 1e308, 1e-320]
NOT_NUMBERS = [float("nan"), float("inf"), float("-inf"), True, False, None]
TEXT = [
    "",
    "1e-4",
    "nan",
    "28",
    "x" * 5000,
    "数字 ✓",
    "a\nb\x00c",
    "{}",
    "!!python/object",
    "../../etc/passwd",
    "/dev/null",
]
NESTED = [
    [],
    {},
    [[[]]],
    {"type": {"type": "digits"}},
    {1: 2},
    {None: None},
    [{"type": "wasserstein"}, 3],
    {"type": "r1"},
]

NETWORK = {"size": 28, "channels": 1, "width": 4}
WHOLE: list[dict[str, Any]] = [
    {"type": "mlp_generator", "latent_dim": 4, "width": 4},
    {"type": "mlp_critic", "dims": 784, "width": 4},
    {"type": "dcgan_generator", "latent_dim": 4, "classes": 10, **NETWORK},
    {"type": "dcgan_critic", "classes": 3, **NETWORK},
    {"type": "dcgan_critic", "norm": "batch", **NETWORK, "channels": 3},
    {"type": "resnet_critic", "dropout": [0.5], **NETWORK, "size": 32},
    {"type": "resnet_generator", "latent_dim": 5, **NETWORK},
    {"type": "classifier", "size": 28, "channels": 1, "classes": 10},
    {"type": "ratio_clipping", "classifier": {"type": "mlp_critic", "width": 4}},
    {"type": "anneal", "setting": "generator.network", "start": 0, "stop": 1, "steps": 2},
    {"type": "anneal", "setting": "critic_steps", "start": 0.5, "stop": 10, "steps": 1},
    {"type": "consistency"},
    {"type": "hinge"},
    {"type": "cosine", "warmup": 10},
    {"type": "gaussians8", "n": 100},
    {"type": "digits", "channels": 3, "size": 32},
]
"""Complete specs, which fit where they came from and hardly anywhere else."""

garbage = st.one_of(
    st.sampled_from(WHOLE).map(copy.deepcopy),
    st.sampled_from([*NUMBERS, *NOT_NUMBERS, *TEXT, *NAMES]),
    st.sampled_from(NESTED).map(copy.deepcopy),
    st.sampled_from(NAMES).map(lambda name: {"type": name}),
    st.text(max_size=8),
)


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """The path of everything in a tree but its root."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else []):
        yield (*path, key)
        yield from places(value, (*path, key))


def _owner(tree: Any, path: Path) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree


def _rename(draw: st.DrawFn, tree: Any, path: Path) -> None:
    owner = _owner(tree, path)
    if isinstance(owner, dict):
        owner[draw(st.sampled_from([*KEYS, f"{path[-1]}s"]))] = owner.pop(path[-1])


def _delete(draw: st.DrawFn, tree: Any, path: Path) -> None:
    del _owner(tree, path)[path[-1]]


def _replace(draw: st.DrawFn, tree: Any, path: Path) -> None:
    _owner(tree, path)[path[-1]] = draw(garbage)


def _retag(draw: st.DrawFn, tree: Any, path: Path) -> None:
    value = _owner(tree, path)[path[-1]]
    if isinstance(value, dict) and "type" in value:
        value["type"] = draw(st.sampled_from(NAMES))


def _add(draw: st.DrawFn, tree: Any, path: Path) -> None:
    value = _owner(tree, path)[path[-1]]
    if isinstance(value, dict):
        value[draw(st.sampled_from(KEYS))] = draw(garbage)
    elif isinstance(value, list):
        value.append(draw(garbage))


def _copy(draw: st.DrawFn, tree: Any, path: Path) -> None:
    other = draw(st.sampled_from(list(places(tree))))
    _owner(tree, path)[path[-1]] = copy.deepcopy(_owner(tree, other)[other[-1]])


@st.composite
def spoiled_trees(draw: st.DrawFn) -> dict[str, Any]:
    """A shipped recipe, made small, with one to three faults."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(tree)) or [("name",)]))
        spoil = draw(st.sampled_from([_rename, _delete, _replace, _replace, _retag, _add, _copy]))
        if tree:
            spoil(draw, tree, path)
    return tree


@st.composite
def spoiled_texts(draw: st.DrawFn, text: str) -> str:
    """A recipe's text with lines and characters cut, doubled, swapped or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(text) - 1, 0)))
        stop = min(len(text), start + draw(st.integers(0, 20)))
        middle = draw(
            st.sampled_from(["", text[start:stop] * 2, "\t", "{", "]", ": ", "\n", "- ", "&a *a", "!!x ", "\x00", "é"])
        )
        text = text[:start] + middle + text[stop:]
    return text
