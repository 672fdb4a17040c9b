"""A spoiled recipe gives a run or one clear line, never a traceback."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genkit.errors import GenkitError
from genkit.recipe import Recipe, find_recipe, shipped_recipes
from genkit.training.run import prepare
from tests.cli.mutations import spoiled_texts, spoiled_trees

QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, print_blob=True)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A mutation that asks for CelebA must not download it."""

    def refuse(*_: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("GENKIT_DATA", str(tmp_path_factory.mktemp("data")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about nets with a single pixel and the like
        yield


def check_line(error: GenkitError) -> None:
    line = str(error)
    assert line.strip() and "\n" not in line, line
    assert len(line) < 1500, line


@pytest.mark.slow
@settings(QUIET, max_examples=600)
@given(tree=spoiled_trees())
def test_trees(tree: dict[str, Any]) -> None:
    try:
        recipe = Recipe.from_dict(tree)
        _, trainer = prepare(recipe, Accelerator(cpu=True))
        trainer.iterate()
    except GenkitError as refusal:
        check_line(refusal)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_recipes())
@settings(QUIET, max_examples=60)
@given(data=st.data())
def test_texts(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recipe") / "spoiled.yaml"
    text = data.draw(spoiled_texts(find_recipe(name).read_text(encoding="utf-8")))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        Recipe.load(Path(path))
    except GenkitError as refusal:
        check_line(refusal)
