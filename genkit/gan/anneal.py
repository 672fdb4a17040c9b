"""A schedule for any number that a technique declares."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from genkit.core.errors import RecipeError
from genkit.gan.slots import Pair, Schedule


class Anneal(Schedule):
    """Moves a number of a technique in a straight line, e.g. the temperature of a weighting.

    Args:
        setting: path of a number from the game, such as `fake_weighting.temperature` or `penalties.0.weight`; its
            present value must be a number.
        start: value at iteration 0.
        stop: value from iteration `steps` on.
        steps: length of the line, in iterations.
    """

    def __init__(self, setting: str, start: float, stop: float, steps: Annotated[int, Field(ge=1)]):
        self.setting, self.start, self.stop, self.steps = setting, start, stop, steps

    def check(self, gan: Pair) -> None:
        owner, name = self._owner(gan)
        if not isinstance(getattr(owner, name, None), (int, float)):
            raise RecipeError(f"anneal: {self.setting!r} is not a number of this game")

    def apply(self, gan: Pair, step: int) -> None:
        owner, name = self._owner(gan)
        setattr(owner, name, self.start + (self.stop - self.start) * min(1.0, step / self.steps))

    def _owner(self, gan: Pair) -> tuple[object, str]:
        *parents, name = self.setting.split(".")
        owner: object = gan
        for parent in parents:
            owner = _part(owner, parent)
        return owner, name


def _part(owner: object, name: str) -> object:
    """An attribute, or an item of a list by its position; None where there is none."""
    if isinstance(owner, list):
        return owner[int(name)] if name.isdecimal() and int(name) < len(owner) else None
    return getattr(owner, name, None)
