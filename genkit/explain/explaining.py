"""From a generator and images to an Explanation: search, selection, what it changes, and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.documents import json_of_result
from genkit.core.errors import EvaluationError, shown
from genkit.core.evaluating import evaluating
from genkit.core.fingerprint import fingerprint, weights_fingerprint
from genkit.core.progress import Progress
from genkit.explain.checks import LEAST, check_given, checked, doubts, redrawing, unseen
from genkit.explain.effects import ROWS, Effects, find_effects
from genkit.explain.encoded import BATCH, Encoded, Step
from genkit.explain.explainable import Explainable, class_names
from genkit.explain.explanation import Attribute, Checks, ExampleImages, Explanation
from genkit.explain.flips import on_originals, probabilities_alone, random_sufficiency, sufficiency
from genkit.explain.realism import CriticScore, Realism
from genkit.explain.selection import PaperSelection, Selection, anything, unstable, without
from genkit.images.pixels import to_uint8
from genkit.images.property_changes import AttributeJudge, PixelJudge, Properties

FAR = 100
"""The largest shift: numbers stay finite."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search.

    Attributes:
        searched: images, the first ones; the others show what was found. At most half of all.
        most: attributes a class.
        selection: of coordinates by their effects.
        shift: share of the way to the smallest or largest value.
        colours: whether the styles of colour layers are searched too; the authors leave them out.
        unstable: images on which more effects than the second number are larger than the first are left out.
        examples: pictures of each attribute.
        draws, seed: of random coordinates.
        batch, rows: images, and changed images, at a time; change speed alone.
    """

    searched: int = 250
    most: int = 10
    selection: Selection = field(default_factory=PaperSelection)
    shift: float = 1.0
    colours: bool = True
    unstable: tuple[float, int] | None = None
    examples: int = 4
    draws: int = 5
    seed: int = 0
    batch: int = BATCH
    rows: int = ROWS

    def __post_init__(self) -> None:
        least = {"searched": LEAST, "most": 1, "examples": 0, "draws": 1, "seed": 0, "batch": 1, "rows": 1}
        for name, number in least.items():
            given = getattr(self, name)
            if not isinstance(given, Integral) or isinstance(given, bool):
                raise EvaluationError(f"{name} must be a whole number, got {shown(given)}")
            if given < number:
                raise EvaluationError(f"{name} must be at least {number}, got {given}")
            object.__setattr__(self, name, int(given))
        if not (isinstance(self.shift, Real) and not isinstance(self.shift, bool) and 0 < self.shift <= FAR):
            raise EvaluationError(f"shift must be finite and above 0, {FAR} at most, got {shown(self.shift)}")
        object.__setattr__(self, "shift", float(self.shift))
        if not isinstance(self.colours, bool):
            raise EvaluationError(f"colours must be True or False, got {shown(self.colours)}")
        if not callable(self.selection) or isinstance(self.selection, type):
            raise EvaluationError(
                f"selection must choose among effects, as PaperSelection() does, got {shown(self.selection)}"
            )
        if self.unstable is not None:
            object.__setattr__(self, "unstable", _limits(self.unstable))

    def to_json(self) -> dict[str, Any]:
        rest = {k: v for k, v in asdict(self).items() if k not in ("selection", "batch", "rows")}
        return {**rest, "selection": {"name": type(self.selection).__name__, **vars(self.selection)}}


def _limits(unstable: Any) -> tuple[float, int]:
    """The two numbers of `SearchSettings.unstable`."""
    try:
        size, count = (float(number) for number in unstable)
    except (TypeError, ValueError, OverflowError):
        size, count = -1.0, -1.0
    if not (0 <= size < inf and 0 <= count < inf and count == int(count)):
        raise EvaluationError(f"unstable must be a size and a number of effects, as (2.0, 3), got {shown(unstable)}")
    return size, int(count)


def explain(
    generator: Explainable,
    images: Tensor,
    settings: SearchSettings | None = None,
    progress: Progress | None = None,
    *,
    judge: AttributeJudge | None = None,
    critic: CriticScore | None = None,
    data: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Explanation:
    """The attributes that move the generator's classifier, for each class to which it assigns an image.

    Args:
        images: (N, C, H, W) in [-1, 1], of which none was trained on.
        progress: called with (passes of the search done, in total).
        judge: reads what changes; without one, brightness, area, place and the like are read from the pixels.
        critic: coordinates that change its score much are left out.
        data: what to tell of the images, such as their name.
        folder: keeps the search, so that it can be left and gone on with.

    Raises:
        DataError, EvaluationError: images, generator or classifier that cannot be explained, see genkit.explain.checks.
        CheckpointError: the folder cannot be written.
    """
    settings = SearchSettings() if settings is None else settings
    if not isinstance(settings, SearchSettings):
        raise EvaluationError(f"settings must be SearchSettings, got {shown(settings)}")
    check_given(generator, images)
    told = _checked_data(data or {})
    assert isinstance(generator, nn.Module)
    with evaluating(generator):
        work = _Explaining(generator, images, settings, judge, critic)
        return work.explained(told, None if folder is None else Path(folder), progress)


def _checked_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`; raises EvaluationError before the search for what explanation.json cannot hold."""
    try:
        json_of_result(data)
        return dict(data)
    except (TypeError, ValueError) as fault:
        raise EvaluationError(f"data is kept in explanation.json, as names with text or numbers: {fault}") from fault


class _Explaining:
    """The work, in the order in which it is done."""

    def __init__(
        self,
        generator: Explainable,
        images: Tensor,
        settings: SearchSettings,
        judge: AttributeJudge | None,
        critic: CriticScore | None,
    ):
        self.generator, self.images, self.settings, self.critic = generator, images, settings, critic
        half = min(settings.searched, len(images) // 2)
        self.properties = Properties(judge or PixelJudge(images[:half]), images[:half])
        self.encoded = Encoded(generator, images[:half].cpu(), settings.batch, settings.colours)
        self.checks = checked(self.encoded)
        self.others = Encoded(generator, images[half:].cpu(), settings.batch, settings.colours)

    def explained(self, data: dict[str, Any], folder: Path | None, progress: Progress | None) -> Explanation:
        settings, others = self.settings, self.others
        effects = find_effects(self.encoded, settings.shift, settings.rows, folder, progress)
        if settings.unstable:
            shaken = unstable(effects.effect, *settings.unstable)
            effects = replace(effects, effect=without(effects.effect, shaken))
        targets = effects.logits.argmax(1).unique().tolist()
        steps = {y: self.selected(effects, y) for y in targets}
        names = class_names(self.generator, effects.logits.shape[1])
        shares = {y: sufficiency(others, effects.range, steps[y], y, settings.shift) for y in targets}
        chance = {
            y: random_sufficiency(
                others, effects.range, len(steps[y]), y, settings.shift, settings.draws, settings.seed
            )
            for y in targets
        }
        put = {y: on_originals(others, effects.range, steps[y], y, settings.shift) for y in targets if steps[y]}
        alone = probabilities_alone(others)
        transferred = {y: share for y, share in put.items() if share is not None}
        examples = {y: [self.examples(effects, step, y) for step in steps[y]] for y in targets}
        of_images = {"fingerprint": fingerprint(self.images), "n": len(self.images)}
        searched, outside = ({str(y): len(part.outside(y)) for y in targets} for part in (self.encoded, others))
        counts = {"searched": len(self.encoded), "others": len(others)}
        rows = {"outside": outside, "searched_outside": searched}
        return Explanation(
            names,
            {y: [self.attribute(effects, step, y) for step in steps[y]] for y in targets},
            examples,
            shares,
            chance,
            torch.cat([*alone.values()]).double().mean().item(),
            self.checked({y: names[y] for y in targets}, shares, chance, transferred, examples),
            settings.to_json() | {"realistic": self.critic is not None},
            {**data, **of_images, **counts, **rows},
            effects.range,
            weights_fingerprint(self.generator),
            transferred,
            {y: turned.double().mean().item() for y, turned in alone.items()},
        )

    def selected(self, effects: Effects, y: int) -> list[Step]:
        accept = Realism(self.critic, self.encoded, effects, y) if self.critic else anything
        return self.settings.selection(effects.towards(y), self.settings.most, accept)

    def checked(
        self,
        names: dict[int, str],
        shares: dict[int, list[float]],
        chance: dict[int, list[float]],
        transferred: dict[int, float],
        examples: dict[int, list[ExampleImages]],
    ) -> Checks:
        images = {y: torch.cat([one.images for one in found]) for y, found in examples.items() if found}
        found = [*doubts(names, shares, chance), *unseen(names, images), *redrawing(names, shares, transferred)]
        return replace(self.checks, reasons=[*self.checks.reasons, *found])

    def attribute(self, effects: Effects, step: Step, y: int) -> Attribute:
        layer, channel = effects.coordinates.place(step.s)
        own = effects.effect[:, step.direction, step.s, y]
        outside = self.encoded.outside(y)
        moves, drifts = self.moves(effects, [step], outside)
        mean = own[outside].double().mean().item()
        return Attribute(layer, channel, step.s, step.direction, y, mean, own.clone(), moves, drifts)

    def moves(
        self, effects: Effects, steps: Sequence[Step], index: Tensor
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Mean changes of the properties of the images `index`, with and without their sign."""
        moved = effects.range.moved(self.encoded.flat[index], steps, self.settings.shift)
        read = self.properties.read
        changes = self.properties.changes(read(self.encoded.images(index)), read(self.encoded.images(index, moved)))
        signed = {name: rows.mean().item() for name, rows in changes.items()}
        return signed, {name: rows.abs().mean().item() for name, rows in changes.items()}

    def examples(self, effects: Effects, step: Step, y: int) -> ExampleImages:
        """The images not of class y whose logit the step raises most."""
        outside, own = self.encoded.outside(y), effects.effect[:, step.direction, step.s, y]
        index = outside[own[outside].argsort(descending=True, stable=True)[: self.settings.examples]]
        moved = effects.range.moved(self.encoded.flat[index], [step], self.settings.shift)
        after = self.encoded.after(index, moved).softmax(1)[:, y]
        if not len(index):
            return ExampleImages(torch.zeros(0, 3, *self.images.shape[1:], dtype=torch.uint8), after, after)
        shown = [self.encoded.x[index], self.encoded.images(index), self.encoded.images(index, moved)]
        images = torch.stack([to_uint8(x) for x in shown], 1)
        return ExampleImages(images, self.encoded.logits[index].softmax(1)[:, y], after)
