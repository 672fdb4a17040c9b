"""Commands and names in documents, weights' READMEs and recipes: each command parses, and what is named exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import click
import pytest
import yaml

from benchmarks.small_recipes import read
from genkit.cli.list_ import kinds
from genkit.cli.main import COMMANDS, RENAMED, genkit
from genkit.diffusion.authors.diffusion_settings import DiffusionSettings
from genkit.diffusion.authors.guided_diffusion import UNetSettings
from genkit.diffusion.authors.script_flags import from_flags
from genkit.training.recipe_file import shipped_recipes
from tests.rules.markdown import ROOT, anchors, blocks, fenced_lines, genkit_commands, inline_code, links

WEIGHTS = {path.parent.name for path in (ROOT / "weights").glob("*/config.json")}
SETS = {name.partition("/")[0] for name in shipped_recipes()}
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "weights").glob("*/README.md")),
]
TRAINED_ON = ("digits-", "mnist-", "fashion-mnist-")
"""Beginnings of the names of shipped weights."""
PLACEHOLDER = re.compile(r"[A-Z]+")
"""Such as N: a reader puts something else for it."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_commands_parse(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for words in genkit_commands(fenced_lines(text)):
        check(words, whole=True)
    for words in genkit_commands(inline_code(text)):
        check(words, whole=False)


def check(words: list[str], *, whole: bool) -> None:
    """Raises what click does for an unknown option or a value out of range; `whole`: all that is required is there."""
    context = click.Context(genkit)
    if words[0].startswith("-"):
        genkit.make_parser(context).parse_args(words)
        return
    if " ".join(words[:2]) in COMMANDS:
        words = [" ".join(words[:2]), *words[2:]]
    command = genkit.get_command(context, words[0])
    assert command, f"genkit {' '.join(words)}: no such command"
    given, _, _ = command.make_parser(click.Context(command)).parse_args(words[1:])
    for parameter in command.params:
        value = given.get(parameter.name)
        assert not (whole and parameter.required and not value), (
            f"genkit {' '.join(words)}: {parameter.name} is missing"
        )
        if isinstance(value, str) and not isinstance(parameter.type, click.Path) and not PLACEHOLDER.fullmatch(value):
            parameter.type.convert(value, parameter, context)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = [word for line in [*fenced_lines(text), *inline_code(text)] for word in line.split()]
    for word in (name for part in code for name in unfolded(part)):
        data, _, system = word.partition("/")
        if data in SETS and re.fullmatch(r"[a-z0-9_]+", system) and system not in ("train", "test"):
            assert word in shipped_recipes(), f"no recipe {word}"
        if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", word) and word.startswith(TRAINED_ON):
            assert word in WEIGHTS, f"no weights {word}"
        if re.fullmatch(r"(genkit|recipes|tests|docs|weights)/[\w./*-]+\.\w+", word):
            assert list(ROOT.glob(word)), f"no file {word}"


def unfolded(word: str) -> Iterator[str]:
    """`{mnist,fashion_mnist}/{vae,vamp_vae}` as four names, as a shell has it."""
    parts = [part.split(",") for part in re.split(r"[{}]", word)]
    yield from ("".join(chosen) for chosen in product(*parts)) if len(parts) > 1 else (word,)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_modules_exist(path: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", path.read_text(encoding="utf-8")):
        assert find_spec(module), f"no module {module}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_what_is_listed_can_be(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = "\n".join([*fenced_lines(text), *inline_code(text)])
    for kind in re.findall(r"genkit list ([a-z]+)", code):
        assert kind in kinds(), f"nothing is listed by genkit list {kind}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.is_file(), f"no file {link}"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"no heading {link}"


SYSTEMS = sorted((ROOT / "docs" / "systems").glob("*.md"))


@pytest.mark.parametrize("path", SYSTEMS, ids=name_of)
def test_the_page_of_a_system_has_its_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for part in ("**What it is for.**", "**When to choose it.**", "```sh\ngenkit ", "## Details"):
        assert part in text, f"{name_of(path)} lacks {part}"
    assert f"](systems/{path.name})" in (ROOT / "docs" / "systems.md").read_text(encoding="utf-8"), "the index lacks it"


@pytest.mark.parametrize("name", shipped_recipes())
def test_commands_in_descriptions_exist(name: str) -> None:
    assert set(re.findall(r"\bgenkit ([a-z]+)", read(name).get("description", ""))) <= {*COMMANDS, *RENAMED}


def test_the_settings_of_the_authors_checkpoint_are_those_of_the_recipe() -> None:
    block = next(
        block for block in blocks(ROOT / "docs" / "systems" / "ddpm.md") if block.text.startswith("# flags.yaml")
    )
    config = from_flags("guided-diffusion/unet", yaml.safe_load(block.text))
    ours = read("imagenet64/ddpm")["system"]["generator"]
    network = UNetSettings(**config).denoiser().as_arguments() | {"type": "unet"}
    assert {key: network[key] for key in ours["network"]} == ours["network"]
    process = DiffusionSettings(**config).process("guided-diffusion/unet", learns_variance=network["variance"])
    assert {key: process.config[key] for key in ours["process"]} == ours["process"]
