"""A generator as a file for other programs: torch.export or ONNX, with a README.md of its inputs and outputs."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.core.errors import WeightsError, first_line
from genkit.core.files import new_folder, whole_folder
from genkit.core.generator import Generator
from genkit.core.graph import Graph
from genkit.foreign.graph_readme import readme

FILES = {"torch": "model.pt2", "onnx": "model.onnx"}
"""Format -> name of its file."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")
TRACED, EXAMPLES, SEED = 5, 4, 0
"""Rows that a graph is traced with, and those of the example beside it, which are drawn from the seed."""

TOLERANCE = 1e-4


def export_graph(generator: Generator, to: str, out: str | Path) -> float:
    """Writes model.pt2 or model.onnx, README.md, example.npz and the tables of the graph, as process.json, to `out`.

    The file is run before it is left: its output for the inputs in example.npz is the generator's own to 1e-4, of the
    largest number where that is above 1.

    Args:
        generator: see `Generator.graph` for those that have a graph.
        to: one of `FILES`.
        out: a folder that is new or empty.

    Returns:
        The largest difference found.

    Raises:
        GenkitError: the generator has no graph, with the reason.
        WeightsError: `out` holds something, packages are missing, or the file would give other samples; nothing is
            written then.
        CheckpointError: `out` cannot be written.
    """
    check_packages(to)
    out = new_folder(out)
    graph = copy.deepcopy(generator).cpu().graph()
    given = graph.example(EXAMPLES, torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        wanted = graph(*given.values())
    with whole_folder(out) as folder:
        _WRITERS[to](graph, folder / FILES[to])
        worst = _difference(_RUNNERS[to](folder / FILES[to], given), wanted)
        rows = {**given, graph.output.name: wanted}
        np.savez(folder / "example.npz", **{name: tensor.numpy() for name, tensor in rows.items()})
        for name, table in graph.tables.items():
            (folder / f"{name}.json").write_text(json.dumps(table) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(readme(out.name, graph, to, FILES[to]), encoding="utf-8")
    return worst


def check_packages(to: str) -> None:
    """Raises WeightsError where the packages of a format are not installed."""
    missing = [name for name in NEEDED if to == "onnx" and find_spec(name) is None]
    if missing:
        raise WeightsError(f"ONNX needs {', '.join(missing)}; install them: pip install 'genkit[onnx]'")


def traced(graph: Graph) -> Any:
    """The graph as torch.export has it, for any number of rows.

    Raises:
        WeightsError: torch cannot trace it.
    """
    given = graph.example(TRACED, torch.Generator().manual_seed(SEED))
    rows = torch.export.Dim("n")
    try:
        with _quiet():
            return torch.export.export(
                graph, tuple(given.values()), dynamic_shapes={"given": tuple({0: rows} for _ in given)}, strict=False
            )
    except Exception as failure:  # torch raises a dozen unrelated types, of any code that a network may have
        kind = type(graph.generator).__name__
        raise WeightsError(f"torch.export cannot trace this {kind}: {first_line(failure)}") from failure


def _write_torch(graph: Graph, path: Path) -> None:
    whole = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(traced(graph), whole)
    path.write_bytes(whole.getbuffer())


def _write_onnx(graph: Graph, path: Path) -> None:
    save_onnx(graph, traced(graph), path)


def save_onnx(graph: Graph, program: Any, path: Path) -> None:
    """A traced graph as an ONNX file, inputs and output by the graph's names."""
    names = [port.name for port in graph.inputs]
    with _quiet():
        made: Any = torch.onnx.export(
            program, input_names=names, output_names=[graph.output.name], dynamo=True, verbose=False
        )
    made.save(path)


def _run_torch(path: Path, given: dict[str, Tensor]) -> Tensor:
    answer: Tensor = torch.export.load(path).module()(*given.values())
    return answer


def run_onnx(path: Path, given: dict[str, Tensor]) -> Tensor:
    """The output of an ONNX file for its inputs by name, by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {name: rows.numpy() for name, rows in given.items()})[0])


_WRITERS: dict[str, Callable[[Graph, Path], None]] = {"torch": _write_torch, "onnx": _write_onnx}
_RUNNERS: dict[str, Callable[[Path, dict[str, Tensor]], Tensor]] = {"torch": _run_torch, "onnx": run_onnx}


def _difference(found: Tensor, wanted: Tensor) -> float:
    """The largest, checked against the tolerance."""
    worst = (found - wanted).abs().max().item()
    if not worst <= TOLERANCE * max(1.0, wanted.abs().max().item()):
        raise WeightsError(f"the exported file differs from the generator by {worst:.2g}; it is not kept")
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of torch's exporters on their own code, which come as logs, as warnings and printed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
