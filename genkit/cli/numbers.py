"""Numbers on a command line."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number in a range; nan, which no comparison refuses, and infinity are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not math.isfinite(number := float(super().convert(value, param, ctx))):
            self.fail(f"{number} is no finite number", param, ctx)
        return number
