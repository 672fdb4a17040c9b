"""Rules for the options of all commands."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from genkit.cli.main import COMMANDS
from tests.cli.console import refusal


def commands() -> Iterator[tuple[str, click.Command]]:
    """(name, command) of all commands."""
    for name, (module, _) in COMMANDS.items():
        yield name, import_module(f"genkit.cli.{module}").command


def parameters() -> Iterator[tuple[str, click.Parameter]]:
    """(command's name, parameter) of all commands."""
    for name, command in commands():
        yield from ((name, parameter) for parameter in command.params)


FLOATS = [
    pytest.param(name, parameter, id=f"{name} {parameter.opts[0]}")
    for name, parameter in parameters()
    if isinstance(parameter.type, (click.FloatRange, click.types.FloatParamType))
]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("name", "parameter"), FLOATS)
def test_no_number_is_nan_or_infinite(
    name: str, parameter: click.Parameter, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled = ["fashion-mnist-ddpm", "--label", 1, "-n", 1, "--out", "never"]
    given = {
        "sample": sampled,
        "calibrate": ["mnist-classifier", "digits"],
        "explain": ["mnist-classifier"],
        "refine": ["digits-wgan-ratio-clipping", "--data", "digits", "--out", "never"],
        "directions": ["digits-wgan-ratio-clipping", "--out", "never"],
    }.get(name, ["digits", "--metrics", "outliers"])
    line = refusal(capsys, name, *given, f"{parameter.opts[0]}={value}")
    assert "is not finite" in line or "0 to below 0.5" in line or "is not in the range" in line


def test_there_are_such_numbers() -> None:
    assert {case.id for case in FLOATS} >= {"sample --scale", "evaluate --share"}
