"""Layout of the house: rooms, floors, arrows, and the files that a reader of each system opens.

    python -m benchmarks.house [--package genkit] [--shares] [--picture docs/figures/house.svg]

A room is a folder of the package, or a module that lies in none; an arrow says that one room imports another, wherever
the import stands; a room's floor is the longest way down from it. What a reader opens: the modules that a system's
modules import, directly and through others, from wherever the imports stand at the top of a file. Reads the source
alone, so that any checkout can be measured. Prints Markdown tables.

--shares: lines of each part by what they are. A line of several kinds counts as the first of them.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

SYSTEMS = {
    "WGAN with ratio clipping": ("resnet_gan", "ratio_clipping", "softmax_weighting", "gan"),
    "TransGAN": ("transgan", "transgan_generator", "transgan_critic", "diff_augment", "super_resolution", "gan"),
    "robust OT": ("robust_ot", "robust_dcgan", "robust_weights", "gan"),
    "plain VAE": ("vae", "gated_vae", "vae_training", "pixel_likelihoods"),
    "DDPM": ("ddpm", "unet"),
}
"""System -> its modules, by file name, old names and new; authors' checkpoints do not count."""


class House:
    """The modules of a package and what they import of it."""

    def __init__(self, package: Path):
        self.package = package
        self.paths = {self._name(path): path for path in sorted(package.rglob("*.py")) if path.stat().st_size}

    def _name(self, path: Path) -> str:
        return ".".join(path.relative_to(self.package).with_suffix("").parts).removesuffix(".__init__")

    def imports(self, name: str, eager: bool = False) -> set[str]:
        """Modules of the package that `name` imports; `eager`: at the top of the file."""
        tree = ast.parse(self.paths[name].read_text(encoding="utf-8"))
        nodes = tree.body if eager else ast.walk(tree)
        return {found for node in nodes for word in _imported(node) if (found := self._module(word)) and found != name}

    def _module(self, word: str) -> str | None:
        """The longest beginning of a dotted word that is a module."""
        own, _, rest = word.partition(".")
        parts = rest.split(".") if own == self.package.name else []
        return next((m for n in range(len(parts), 0, -1) if (m := ".".join(parts[:n])) in self.paths), None)

    def room(self, name: str) -> str:
        return name.split(".")[0]

    @cached_property
    def rooms(self) -> set[str]:
        return {self.room(name) for name in self.paths if name not in ("__init__", "__main__")}

    @cached_property
    def arrows(self) -> set[tuple[str, str]]:
        pairs = {(self.room(a), self.room(b)) for a in self.paths for b in self.imports(a)}
        return {(a, b) for a, b in pairs if a != b and {a, b} <= self.rooms}

    @cached_property
    def floors(self) -> dict[str, int]:
        """Room -> its height above what imports nothing; rooms that import each other share a floor."""
        height = dict.fromkeys(self.rooms, 0)
        for _ in self.rooms:
            for a, b in self.arrows:
                if (b, a) not in self.arrows and not self._reaches(b, a):
                    height[a] = max(height[a], height[b] + 1)
        return height

    def _reaches(self, start: str, goal: str) -> bool:
        seen, wave = set[str](), {start}
        while wave:
            seen |= wave
            wave = {b for a, b in self.arrows if a in wave} - seen
        return goal in seen

    def opened(self, files: Iterable[str]) -> tuple[int, int]:
        """Modules that a reader of `files` opens, and their lines."""
        seen, wave = set[str](), {n for n in self.paths if n.split(".")[-1] in files and not _of_authors(n)}
        while wave:
            seen |= wave
            wave = {b for a in wave for b in self.imports(a, eager=True)} - seen
        return len(seen), sum(self.lines(name) for name in seen)

    def lines(self, name: str) -> int:
        return len(self.paths[name].read_text(encoding="utf-8").splitlines())


def _of_authors(name: str) -> bool:
    return any(part in ("foreign", "authors", "cli", "evaluation", "training") for part in name.split("."))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


PARTS = {
    "checkpoints and files of others": ("authors", "foreign"),
    "tables of names": ("entries", "layouts"),
    "networks": ("networks", "stylegan2", "hierarchical", "layers"),
}
"""Part -> folders or files of it; all else is its room's."""


def part(name: str) -> str:
    return next((p for p, words in PARTS.items() if set(words) & set(name.split("."))), name.split(".")[0])


def kinds(source: str) -> Counter[str]:
    """Lines of a file by kind."""
    lines, found = source.splitlines(), dict[str, set[int]]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.setdefault("docstrings", set()).update(range(node.lineno, node.end_lineno + 1))  # type: ignore[operator]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.setdefault("imports", set()).update(range(node.lineno, node.end_lineno + 1))  # type: ignore[operator]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.setdefault("signatures", set()).update(range(node.lineno, node.body[0].lineno))
    found["blank"] = {i for i, line in enumerate(lines, 1) if not line.strip()}
    order = ("docstrings", "blank", "imports", "signatures")
    of = (next((kind for kind in order if i in found.get(kind, ())), "the rest") for i in range(1, len(lines) + 1))
    return Counter(of)


def print_shares(house: House) -> None:
    table: dict[str, Counter[str]] = {}
    for name, path in house.paths.items():
        table.setdefault(part(name), Counter()).update(kinds(path.read_text(encoding="utf-8")))
    table["all"] = sum(table.values(), Counter[str]())
    columns = ("docstrings", "blank", "imports", "signatures", "the rest")
    print(f"\n| part | lines | {' | '.join(columns)} |\n|---|---{'|---' * len(columns)}|")
    for name, row in sorted(table.items(), key=lambda item: item[1].total()):
        print(f"| {name} | {row.total():,} | {' | '.join(f'{row[kind]:,}' for kind in columns)} |")


def draw(house: House, path: Path) -> None:
    """Rooms as boxes on their floors, and who imports whom; what all import is left without arrows."""
    from matplotlib.figure import Figure

    stories: dict[int, list[str]] = {}
    for room, height in sorted(house.floors.items()):
        stories.setdefault(height, []).append(room)
    at = {r: (i - (len(rooms) - 1) / 2, h) for h, rooms in stories.items() for i, r in enumerate(rooms)}
    figure = Figure(figsize=(9, 1.1 * len(stories)), layout="constrained")
    axis = figure.add_subplot()
    for a, b in sorted(house.arrows):
        if not house.floors[b]:
            continue
        axis.annotate(
            "", at[b], at[a], arrowprops={"arrowstyle": "->", "color": "#8aa", "shrinkA": 12, "shrinkB": 12, "lw": 0.8}
        )
    for room, (x, y) in at.items():
        axis.text(x, y, room, ha="center", va="center", bbox={"boxstyle": "round,pad=0.4", "fc": "white", "ec": "#357"})
    axis.set_xlim(-3, 3)
    axis.set_ylim(-0.5, len(stories) - 0.5)
    axis.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=Path("genkit"))
    parser.add_argument("--shares", action="store_true")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    house = House(given.package)
    total = sum(house.lines(name) for name in house.paths)
    print("| rooms | floors | arrows | files | lines |\n|---|---|---|---|---|")
    stories = len(set(house.floors.values()))
    print(f"| {len(house.rooms)} | {stories} | {len(house.arrows)} | {len(house.paths)} | {total:,} |\n")
    print("| system | files a reader opens | lines |\n|---|---|---|")
    for system, files in SYSTEMS.items():
        count, lines = house.opened(files)
        print(f"| {system} | {count} | {lines:,} |")
    if given.shares:
        print_shares(house)
    if given.picture:
        draw(house, given.picture)


if __name__ == "__main__":
    main()
