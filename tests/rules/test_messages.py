"""Messages advise options that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click

from genkit.cli.main import COMMANDS, genkit
from genkit.diffusion.authors.script_flags import FLAGS
from tests.rules.test_imports import modules, own_name

OTHERS = {
    "--force-reinstall",
    "--num_processes",
    "--num-processes",
    "--cpu",
    "--dirty",
    "--always",
    "--abbrev",
    "--exclude",
}
"""Of pip, accelerate and git; those of OpenAI's scripts are known too."""


def options() -> set[str]:
    context = click.Context(genkit)
    commands = [command for name in COMMANDS if (command := genkit.get_command(context, name))]
    return {name for c in [genkit, *commands] for p in c.get_params(context) for name in [*p.opts, *p.secondary_opts]}


def texts() -> Iterator[tuple[str, str]]:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield own_name(path), node.value


def test_every_option_that_a_text_names_exists() -> None:
    known, found = options() | OTHERS | {f"--{flag}" for flags in FLAGS.values() for flag in flags}, set()
    for where, text in texts():
        for name in re.findall(r"(?<![\w-])--[a-z][a-z_-]*[a-z]", text):
            found.add(name)
            assert name in known, f"{where} names {name}, and no command has it: {text!r}"
    assert {"--out", "--resume"} <= found and len(found) > 10
