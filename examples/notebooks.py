"""Runs a notebook from its first cell to its last without Jupyter, and writes the outputs into it.

    python examples/notebooks.py examples/own_photos.ipynb

A cell is plain Python, its last expression is shown, and a line that begins with ! is a command of the shell in which
{name} stands for a variable: as in Jupyter, and no more of it than these notebooks use. Files that a notebook makes
go to a folder that is removed; outputs call it "...".
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

SHELL = re.compile(r"^( *)!(.+)$", re.MULTILINE)
PARAMETERS = "parameters"
"""Tag of the cell whose numbers a test makes smaller."""


def read(path: Path) -> dict[str, Any]:
    """A notebook as the JSON that it is."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def code_cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells of Python, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: Mapping[str, Any], folder: Path, smaller: Mapping[str, Any] | None = None) -> None:
    """Runs all cells in `folder`, and gives each its outputs.

    Args:
        smaller: names of the cell tagged "parameters" -> the values that they have instead.

    Raises:
        KeyError: the notebook has no such parameter.
    """
    names: dict[str, Any] = {"__name__": "__main__", "_shell": _shell}
    with chdir(folder), warnings.catch_warnings():
        for number, cell in enumerate(code_cells(notebook), 1):
            cell["execution_count"] = number
            cell["outputs"] = _outputs(SHELL.sub(_called, "".join(cell["source"])), names)
            if PARAMETERS in cell["metadata"].get("tags", ()):
                if unknown := set(smaller or {}) - set(names):
                    raise KeyError(*unknown)
                names |= smaller or {}


def _called(line: re.Match[str]) -> str:
    return f"{line[1]}_shell(f{line[2]!r})"


def _shell(command: str) -> None:
    """Runs `command`, and prints what it says; raises CalledProcessError where it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ | {"PATH": path})
    print(done.stdout + done.stderr, end="")
    done.check_returncode()


def _outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What the cell prints, then its last expression."""
    tree, printed = ast.parse(source), io.StringIO()
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.Assign([ast.Name("_", ast.Store())], last.value)
    names["_"] = None
    with redirect_stdout(printed):
        exec(compile(ast.fix_missing_locations(tree), "<cell>", "exec"), names)
    found: list[dict[str, Any]] = []
    if text := printed.getvalue().replace(os.getcwd(), "..."):
        found.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if names["_"] is not None:
        found.append({"output_type": "display_data", "metadata": {}, "data": _shown(names["_"])})
    return found


def _shown(value: Any) -> dict[str, Any]:
    if hasattr(value, "save") and hasattr(value, "size"):
        file = io.BytesIO()
        value.save(file, format="PNG", optimize=True)
        return {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": ["a picture"]}
    return {"text/plain": _lines(repr(value))}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        notebook = read(path)
        with tempfile.TemporaryDirectory() as folder:
            run(notebook, Path(folder))
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path}: {len(code_cells(notebook))} cells")


if __name__ == "__main__":
    main()
