"""A spoiled recipe gives a run or one clear line, never a traceback."""

from __future__ import annotations

import io
import json
import os
import socket
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from benchmarks.small_recipes import read, shrunk
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.evaluation.statistics_file import FORMAT, Statistics
from genkit.foreign.authors_checkpoint import read_checkpoint
from genkit.images.image_files import ImageFiles
from genkit.images.pixels import decode, png_bytes, write_folder
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import find_recipe, shipped_recipes
from genkit.training.staged import load_recipe, recipe_of
from tests.cli.console import run
from tests.cli.hostile import hostile_bytes, hostile_json, hostile_lines, hostile_texts
from tests.cli.mutations import spoiled_texts, spoiled_trees

HUNT = int(os.environ.get("GENKIT_HUNT", "0"))
"""So many times as many examples, at random: for a search of hours."""


def examples(count: int) -> settings:
    return settings(
        max_examples=count * max(HUNT, 1),
        derandomize=not HUNT,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
    )


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
@examples(600)
@given(tree=spoiled_trees())
def test_trees(tree: dict[str, Any]) -> None:
    try:
        recipe = recipe_of(tree)
        if not isinstance(recipe, Recipe):
            return recipe.check()
        _, trainer = prepare(recipe, Accelerator(cpu=True))
        trainer.iterate()
    except GenkitError as refusal:
        check_line(refusal)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_recipes())
@examples(60)
@given(data=st.data())
def test_texts(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recipe") / "spoiled.yaml"
    text = data.draw(spoiled_texts(find_recipe(name).read_text(encoding="utf-8")))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_recipe(Path(path))
    except GenkitError as refusal:
        check_line(refusal)


@examples(300)
@given(text=hostile_texts(find_recipe("points/wgan_gp").read_text(encoding="utf-8")))
def test_hostile_texts(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recipe") / "hostile.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        recipe = Recipe.load(path)
        assert Recipe.from_dict(yaml.safe_load(recipe.to_yaml())) == recipe
        recipe.build_system()
    except GenkitError as refusal:
        check_line(refusal)


@examples(200)
@given(data=st.data())
def test_hostile_configs(data: st.DataObject, points: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    config = json.loads((points / "weights" / "config.json").read_text())
    (folder / "config.json").write_text(data.draw(hostile_json(config)), encoding="utf-8")
    (folder / "model.safetensors").write_bytes((points / "weights" / "model.safetensors").read_bytes())
    try:
        Generator.from_pretrained(folder).sample(1)
    except GenkitError as refusal:
        check_line(refusal)


def _archive() -> bytes:
    file = io.BytesIO()
    picture = png_bytes(torch.zeros(1, 8, 8))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/0.png", "b/1.png"):
            archive.writestr(name, picture)
    return file.getvalue()


def _statistics() -> bytes:
    file, about = io.BytesIO(), {"format": FORMAT, "n": 9, "name": "x", "seed": 0, "fingerprint": "f"}
    about |= {"extractor": {"name": "judge"}, "extractor_id": "judge/1"}
    np.savez(file, mu=np.zeros(3), sigma=np.eye(3), about=np.array(json.dumps(about)))
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((8, 8, 3), np.uint8))
    return file.getvalue()


READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "pictures.zip": (_archive(), lambda path: list(ImageFiles(path).decode_all(1, 8))),
    "statistics.npz": (_statistics(), Statistics.load),
    "picture.npy": (_array(), lambda path: decode(path.read_bytes(), path.name)),
    "picture.png": (png_bytes(torch.zeros(1, 8, 8)), lambda path: decode(path.read_bytes(), path.name)),
    "weights.safetensors": (save({"a": torch.zeros(3), "b": torch.zeros(2, 2)}), read_checkpoint),
}


@pytest.mark.parametrize("name", READERS)
def test_readers_of_whole_files(name: str, tmp_path: Path) -> None:
    content, reader = READERS[name]
    (tmp_path / name).write_bytes(content)
    reader(tmp_path / name)


@pytest.mark.parametrize("name", READERS)
@examples(150)
@given(data=st.data())
def test_hostile_files(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content, reader = READERS[name]
    path = tmp_path_factory.mktemp("files") / name
    path.write_bytes(data.draw(hostile_bytes(content)))
    try:
        reader(path)
    except GenkitError as refusal:
        check_line(refusal)


@pytest.fixture(scope="module")
def places(points: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Values of the names in braces of a hostile command line."""
    folder = tmp_path_factory.mktemp("places")
    tree = shrunk(read("points/wgan_gp"))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree))
    pictures = torch.randint(0, 256, (6, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    write_folder([pictures], folder / "pictures")
    entry = {"name": "a", "source": str(points / "weights")}
    bench = {"against": "gaussians8", "entries": [entry], "n": 20, "metrics": ["fd"], "seeds": [0, 1]}
    (folder / "bench.yaml").write_text(yaml.safe_dump(bench))
    return {
        "recipe": folder / "tiny.yaml",
        "points": points / "weights",
        "images": finished / "weights",
        "run": points,
        "folder": folder / "pictures",
        "bench": folder / "bench.yaml",
    }


@pytest.mark.slow
@examples(150)
@given(words=hostile_lines())
def test_hostile_command_lines(
    words: list[str],
    places: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = tmp_path_factory.mktemp("here") / "a" / "b" / "c"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for name, path in places.items():
        words = [word.replace(f"{{{name}}}", str(path)) for word in words]
    ran = run(capsys, *words)
    assert ran.code in (0, 2), (words, ran)
    if ran.code == 2:
        assert ran.err.startswith("genkit: ") and ran.err.count("\n") == 1 and len(ran.err) < 1500, (words, ran.err)
