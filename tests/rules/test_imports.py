"""Rules of imports between floors, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "genkit"
FAMILY = {"core", "images", "layers", "foreign"}
ALLOWED = {
    "core": {"core"},
    "images": {"core", "images"},
    "layers": {"core", "layers"},
    "foreign": {"core", "foreign"},
    "gan": {*FAMILY, "gan"},
    "vae": {*FAMILY, "vae"},
    "diffusion": {*FAMILY, "diffusion"},
    "classifiers": {*FAMILY, "gan", "vae", "classifiers"},
    "explain": {"core", "images", "explain"},
    "posthoc": {"core", "images", "posthoc"},
    "data": {"core", "images", "data"},
    "evaluation": {"core", "images", "evaluation"},
    "training": {"core", "images", "evaluation", "training"},
}
"""No family imports another, except that classifiers borrow networks; training, evaluation and explain know none."""

FRONT = "cli"
"""What people use, the terminal and the page: it imports anything."""

CORE_USES = {"torch", "einops", "numpy", "PIL", "pydantic", "yaml", "safetensors"}
EXCEPTIONS = {
    ("__main__", "genkit.cli.main"): "python -m genkit",
    ("hub", "huggingface_hub"): "lazy: most weights are local",
    ("hub", "huggingface_hub.errors"): "lazy: most weights are local",
    ("notebook_line", "IPython.display"): "lazy: only notebooks have it",
    **dict.fromkeys(
        (("bar", name) for name in ("rich", "rich.console", "rich.text")), "lazy: only terminals have a bar"
    ),
}
EXISTS_FOR = {
    "genkit.evaluation.metrics.torch_metric": "torchmetrics",
    "genkit.evaluation.extractors.fid_inception": "torchvision",
    "genkit.core.bar": "rich",
    "genkit.diffusion.authors.exported_pipeline": "diffusers",
}
HEAVY = {"scipy", "torchvision", "matplotlib", "pandas", "sklearn", "diffusers", "torchmetrics", "rich", "jinja2"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def floor(name: str) -> str:
    """'data' for genkit.data.folder, 'genkit' for genkit.__main__."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else "genkit"


def imports(path: Path, eager: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; `eager`: only when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if eager else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            if node.module == "genkit":
                yield from (f"genkit.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def own_name(path: Path) -> str:
    return ".".join(("genkit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_imports_keep_to_the_floors(path: Path) -> None:
    mine = floor(own_name(path))
    for name in imports(path):
        if mine == FRONT or (path.stem, name) in EXCEPTIONS or name == "genkit.__version__":
            continue
        if name.split(".")[0] == "genkit":
            assert floor(name) in ALLOWED.get(mine, {mine}), f"{own_name(path)} imports {name}"
        elif mine == "core" and name.split(".")[0] not in sys.stdlib_module_names:
            assert name.split(".")[0] in CORE_USES, f"{own_name(path)} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_heavy_packages_are_imported_when_needed(path: Path) -> None:
    eager = {name.split(".")[0] for name in imports(path, eager=True)}
    heavy = (eager & HEAVY) - {EXISTS_FOR.get(own_name(path))}
    assert not heavy, f"{own_name(path)} imports {heavy} whenever it is imported"


def test_only_training_knows_accelerate() -> None:
    users = {floor(own_name(path)) for path in modules() if "accelerate" in {n.split(".")[0] for n in imports(path)}}
    assert users <= {"training", "cli"}
