"""Running the command line inside the test's process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from genkit.cli.main import main


@dataclass(frozen=True)
class Ran:
    """Results of a command line: exit code and output."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """One `genkit ...`."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Ran(code, captured.out, captured.err)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which a command line is refused; everything that a refusal promises is checked."""
    ran = run(capsys, *arguments)
    assert ran.code == 2, ran
    assert ran.err.startswith("genkit: ") and ran.err.count("\n") == 1 and ran.err.endswith("\n"), ran.err
    assert "Traceback" not in ran.out + ran.err and "internal error" not in ran.err
    return ran.err.removeprefix("genkit: ").strip()
