"""Prohibitions for every file of genkit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.test_imports import PACKAGE, imports, modules, own_name

LINES = 300
PICKLERS = {"dill", "joblib", "cloudpickle", "shelve", "marshal"}
RUN_CODE = {
    "eval",
    "exec",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, f"{own_name(path)} has {lines} lines"


@pytest.mark.parametrize("path", [p for p in modules() if "cli" not in p.parts], ids=own_name)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    names = {name for name, _ in calls(path)}
    if path.stem == "__main__":
        names -= {"sys.exit"}
    assert not names & {"print", "sys.exit", "exit", "input", "breakpoint"}


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_nothing_that_is_read_can_run_code(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & PICKLERS
    for name, call in calls(path):
        assert name not in RUN_CODE, name
        if name == "yaml.load":
            loader = keyword(call, "Loader") or ast.unparse(call.args[1])
            assert f"class {loader}(yaml.SafeLoader)" in path.read_text(encoding="utf-8"), loader
        if name == "torch.load":
            assert keyword(call, "weights_only") == "True", own_name(path)
        if name == "np.load":
            assert keyword(call, "allow_pickle") == "False", own_name(path)


def test_no_drawer_for_everything() -> None:
    assert not list(PACKAGE.rglob("util*.py")) + list(PACKAGE.rglob("helper*.py")) + list(PACKAGE.rglob("misc*.py"))


ONE_PLACE = {
    "Callable[[int, int], None]": {"core.progress"},
    "rich.table": {"cli.console"},
    ".topk(": {"core.nearest"},
    ".kthvalue(": {"core.nearest"},
    "torch.autograd.grad(": {
        "core.input_gradient",
        "classifiers.fitness",  # whether there is a gradient at all
        "diffusion.networks.group_norm",  # of a layer, by hand
        "gan.stylegan2.path_length",  # along an image that is drawn already
    },
    "add_axes(": {"images.svg"},
}
"""Text -> the files of genkit that have it: one progress type, table printer, search and gradient by the input."""


@pytest.mark.parametrize("text", ONE_PLACE)
def test_one_place_does_it(text: str) -> None:
    users = {own_name(path).removeprefix("genkit.") for path in modules() if text in path.read_text(encoding="utf-8")}
    assert users == ONE_PLACE[text]


MODES = {"no_grad", "inference_mode", "evaluating", "enable_grad"}


def leaking(source: str) -> list[int]:
    """Lines that yield while a mode of torch is switched: a consumer that stops early would go on in it."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef) or any(
            "contextmanager" in ast.dump(d) for d in function.decorator_list
        ):
            continue
        for block in (node for node in ast.walk(function) if isinstance(node, ast.With)):
            if any(f"'{mode}'" in ast.dump(item) for item in block.items for mode in MODES):
                found += [node.lineno for node in ast.walk(block) if isinstance(node, (ast.Yield, ast.YieldFrom))]
    return found


def test_a_leak_would_be_noticed() -> None:
    assert leaking("def f():\n  with torch.no_grad():\n    yield 1\n") == [3]
    assert not leaking("def f():\n  with torch.no_grad():\n    x = 1\n  yield x\n")
    assert not leaking("@contextmanager\ndef f():\n  with torch.no_grad():\n    yield\n")


def test_no_generator_yields_in_a_mode_of_torch() -> None:
    for path in modules():
        assert not leaking(path.read_text(encoding="utf-8")), own_name(path)


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((PACKAGE.parent / "benchmarks").rglob("*.py")) if "__main__" in p.read_text(encoding="utf-8")],
    ids=str,
)
def test_every_benchmark_tells_what_it_measures(path: Path) -> None:
    parsers = [call for name, call in calls(path) if name == "argparse.ArgumentParser"]
    assert [keyword(call, "description") for call in parsers] == ["__doc__"], "--help would begin the measurement"
