"""Files touched by an addition: adds penalty, network, system, metric and data set to copies of the house, and counts.

    python -m benchmarks.additions

Each is added alone, by as few files as the contract tests let pass; they run on every copy. The page that a command
makes of the code is made anew, and named beside. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPECS = "tests/contracts/specs.py"
PAGE = "docs/recipes.md"
TESTS = ["tests/contracts/test_table.py", "tests/core/test_papers.py", "tests/cli/test_look_up.py"]
RULES = ["tests/cli/test_recipe_keys.py", "tests/rules/test_names.py", "tests/rules/test_docstrings.py"]
METRIC = """from genkit.evaluation.metrics.metric import Estimate, Metric, Scale, Sides


class New(Metric):
    \"\"\"Distance of the means.\"\"\"

    scores = (Scale("new", "lower", 0.0),)

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        return {"new": Estimate((sides.real.features.mean(0) - sides.fake.features.mean(0)).norm().item())}
"""
ADDITIONS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "penalty": (
        "techniques",
        "genkit/gan/new.py",
        (ROOT / "genkit/gan/score_drift.py")
        .read_text()
        .replace("ScoreDrift", "New")
        .replace("score_drift", "new")
        .replace("arXiv:", ""),
        {'{"type": "score_drift"}]': '{"type": "score_drift"}, {"type": "new"}]'},
    ),
    "network": (
        "networks",
        "genkit/gan/networks/new.py",
        (ROOT / "examples/plugin/genkit_sliced/network.py")
        .read_text()
        .replace("CoordinateGenerator", "New")
        .replace("Count", "NewCount"),
        {'"weight_network": [': '"new": [{"type": "new", "latent_dim": 3, "size": 8}],\n    "weight_network": ['},
    ),
    "system": (
        "systems",
        "genkit/gan/new.py",
        (ROOT / "examples/plugin/genkit_sliced/system.py").read_text().replace("SlicedWassersteinTraining", "New"),
        {
            "SYSTEMS: dict[str, list[SystemCase]] = {": "SYSTEMS: dict[str, list[SystemCase]] = {\n"
            '    "new": [SystemCase({"type": "new", "generator": GENERATORS["gan"][0]}, POINTS, ("generator",))],'
        },
    ),
    "metric": ("metrics", "genkit/evaluation/metrics/new.py", f'"""New."""\n\n{METRIC}', {}),
    "data set": (
        "data",
        "genkit/data/new.py",
        (ROOT / "genkit/data/points.py")
        .read_text()
        .replace("swiss_roll", "new")
        .replace("def new", "def New")
        .replace("PointCount", "NewCount")
        .replace("Seed", "NewSeed"),
        {},
    ),
}
"""Name -> (kind, module, its text, replacements in the tiny specs)."""


def add(house: Path, kind: str, module: str, text: str, specs: dict[str, str]) -> list[str]:
    """The files of `house` that change when a name `new` is added to it."""
    target = f"{module.removesuffix('.py').replace('/', '.')}:New"
    entries = f"{'/'.join(module.split('/')[:2])}/entries.py"
    (house / module).write_text(text, encoding="utf-8")
    replace(
        house / entries, {f'    "{kind}": {{\n': f'    "{kind}": {{\n        "new": Entry("{target}", "New.", ()),\n'}
    )
    replace(house / SPECS, specs)
    return [module, entries, *([SPECS] if specs else [])]


def replace(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{path}: no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


def made_anew(house: Path) -> str:
    """The page of all keys, where the addition changes it."""
    page = subprocess.run(
        [sys.executable, "-m", "genkit.cli.recipe_keys"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        check=True,
    ).stdout
    if page == (house / PAGE).read_bytes():
        return ""
    (house / PAGE).write_bytes(page)
    return PAGE


def passes(house: Path, kind: str) -> bool:
    """Whether the rules that hold for every name hold, and the contract tests of the new one where there are some."""
    tests = [
        *TESTS,
        *RULES,
        *(["tests/contracts/test_networks.py", "tests/contracts/test_systems.py"] if kind != "data" else []),
    ]
    arguments = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *tests,
        "-k",
        "new or test_table or test_papers or test_recipe_keys or rules",
    ]
    environment = {**os.environ, "PYTHONPATH": str(house)}
    return subprocess.run(arguments, cwd=house, env=environment, capture_output=True).returncode == 0


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| a new | files touched | which | made anew by a command | tests |\n|---|---|---|---|---|")
    for what, (kind, *rest) in ADDITIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            house = Path(folder) / "house"
            skipped = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "*cache")
            shutil.copytree(ROOT, house, ignore=skipped)
            files = add(house, kind, *rest)  # type: ignore[arg-type]
            page = made_anew(house)
            verdict = "pass" if passes(house, kind) else "fail"
            print(f"| {what} | {len(files)} | {', '.join(files)} | {page} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
