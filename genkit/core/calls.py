"""Functions of somebody else's, called as they were written."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any


def takes(function: Callable[..., Any], arguments: int) -> bool:
    """Whether so many arguments can be given by position; one that does not say what it takes gets them."""
    try:
        signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
