"""Code that genkit runs and that is not its own: of plugins, and of modules that a command line names."""

from __future__ import annotations

import traceback

from genkit.core.errors import first_line

SHARED = ("genkit", "torch", "torchvision")
"""Packages whose faults are not laid at the door of who registers a class of theirs."""

_packages: set[str] = set()


def note_others(module: str) -> None:
    """Remembers the package of a module as one that is not genkit's."""
    package = module.partition(".")[0]
    if package not in SHARED:
        _packages.add(package)


def fault_of_others(error: BaseException) -> str:
    """A line about an error that came up in such code, with its module and line; empty for any other."""
    reason = f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}, is no Python ({reason})"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _packages:
            return f"{module}, line {line}, which is no code of genkit, failed with {reason}"
    return ""
