"""The result of a search: the attributes that move a classifier, with everything that a page about them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from genkit.core.documents import Unreadable, json_of_result, read_json, unknown_as_nan
from genkit.core.errors import DataError, EvaluationError, GenkitError, first_line, shown, some
from genkit.core.files import write_atomically
from genkit.core.fingerprint import weights_fingerprint
from genkit.explain.encoded import Range, Step

JSON, TENSORS = "explanation.json", "explanation.safetensors"


@dataclass(frozen=True)
class Attribute:
    """One coordinate of StyleSpace, moved one way for the sake of one class.

    Attributes:
        layer, channel: its place in the network.
        s: its number among all coordinates.
        direction: 0 towards its smallest value over the images, 1 towards its largest.
        target_class: number of the class whose logit it raises.
        mean_effect: mean of the effects on images that are not of that class.
        effects: (N,) change of the target's logit, over all images searched.
        moves: what measurably changes on images that are not of that class, name -> mean signed change in units of that
            property's deviation; of classes the share that is another one.
        drifts: the same without the sign, so that changes both ways do not cancel.
    """

    layer: str
    channel: int
    s: int
    direction: int
    target_class: int
    mean_effect: float
    effects: Tensor
    moves: Mapping[str, float] = field(default_factory=dict)
    drifts: Mapping[str, float] = field(default_factory=dict)

    def drift(self, name: str) -> float:
        """The mean change of a property, either way; the size of its signed mean where that alone is known."""
        return self.drifts.get(name, abs(self.moves[name]))

    @property
    def step(self) -> Step:
        return Step(self.direction, self.s)


@dataclass(frozen=True)
class ExampleImages:
    """A few images under one attribute.

    Attributes:
        images: (k, 3, C, H, W) uint8: original, reconstruction, changed.
        before, after: (k,) probability of the target class for the reconstruction and the changed image.
    """

    images: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Checks:
    """Whether the explanation is to be trusted.

    Attributes:
        l1: mean absolute difference of images and their reconstructions, in [-1, 1] units.
        l1_of_mean_image: the same of the mean image, shown in place of each.
        agreement: share of images whose reconstruction is classified as they are.
        redrawn_decides: see `genkit.explain.checks.redrawn_decides`; None where it cannot be said.
        reasons: not to trust it, a line each; empty where there are none.
    """

    l1: float
    l1_of_mean_image: float
    agreement: float
    reasons: list[str]
    redrawn_decides: float | None = None


DIGITS = 10
"""Of the number of a class, at most."""


@dataclass(frozen=True)
class Explanation:
    """Attributes that move a classifier, and what they do.

    Attributes:
        classes: their names.
        attributes: target class -> its attributes, in the order of the selection.
        examples: target class -> those of each of its attributes.
        sufficiency: target class -> share of other images than those searched, and not of it, that the top 1, 2, ...
            attributes together turn into it.
        random: the same of as many random coordinates.
        on_originals: target class -> share of the originals that turn when what all of its attributes change in the
            redrawn images is added to them; without a class of which this cannot be said.
        only_probabilities: share flipped by changing the appended probabilities alone, over all classes.
        checks: whether it is to be trusted.
        settings: of the search.
        data: the images: name, fingerprint, n; searched, others; outside, searched_outside: those of the others, and of
            those searched, not of each class; right, labelled: the share of images of which the classifier says the
            label, and the number of those that have one.
        range: of each coordinate over the images searched; None in an explanation that is only to be shown.
        generator: fingerprint of its weights.
        alone: class -> the share of `only_probabilities` of those that are turned into it.
    """

    classes: tuple[str, ...]
    attributes: dict[int, list[Attribute]]
    examples: dict[int, list[ExampleImages]]
    sufficiency: dict[int, list[float]]
    random: dict[int, list[float]]
    only_probabilities: float
    checks: Checks
    settings: dict[str, Any]
    data: dict[str, Any]
    range: Range | None = None
    generator: str = ""
    on_originals: dict[int, float] = field(default_factory=dict)
    alone: dict[int, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensors."""
        found = {y: [_plain(a) for a in attributes] for y, attributes in self.attributes.items()}
        names = (
            "sufficiency",
            "random",
            "on_originals",
            "only_probabilities",
            "alone",
            "settings",
            "data",
            "generator",
        )
        rest = {name: getattr(self, name) for name in names}
        return {"classes": list(self.classes), "attributes": found, **rest, "checks": asdict(self.checks)}

    def tensors(self) -> dict[str, Tensor]:
        """Effects, images and ranges by name."""
        found = {} if self.range is None else {"range": torch.stack([self.range.low, self.range.high])}
        for y, attributes in self.attributes.items():
            found |= {f"{y}.{i}.effects": a.effects.contiguous() for i, a in enumerate(attributes)}
        for y, examples in self.examples.items():
            for i, example in enumerate(examples):
                found |= {f"{y}.{i}.{name}": value.contiguous() for name, value in vars(example).items()}
        return found

    def save(self, folder: str | Path) -> None:
        """explanation.json, and explanation.safetensors with effects and images.

        Raises:
            CheckpointError: the folder cannot be written.
        """
        write_atomically(Path(folder) / TENSORS, save(self.tensors()))
        write_atomically(Path(folder) / JSON, json_of_result(self.to_json()))

    @classmethod
    def load(cls, folder: str | Path) -> Explanation:
        """The explanation that `save` wrote.

        Raises:
            DataError: it is missing or damaged.
        """
        try:
            return cls._read(read_json(Path(folder) / JSON), load_file(Path(folder) / TENSORS))
        except (Unreadable, SafetensorError, OSError, LookupError, TypeError, ValueError, AttributeError) as damage:
            why = f"{folder} holds no explanation that can be read: {first_line(damage)}; search again"
            raise DataError(why) from damage

    @classmethod
    def _read(cls, tree: Any, tensors: Mapping[str, Tensor]) -> Explanation:
        tree = {"on_originals": {}, "alone": {}, **tree}  # of files before they were looked at
        numbered: dict[str, Any] = {
            name: {int(y): unknown_as_nan(value) for y, value in tree.pop(name).items()}
            for name in ("attributes", "sufficiency", "random", "on_originals", "alone")
        }
        tree["only_probabilities"] = unknown_as_nan(tree["only_probabilities"])
        numbered["attributes"] = {
            y: [Attribute(**one, effects=tensors[f"{y}.{i}.effects"]) for i, one in enumerate(found)]
            for y, found in numbered["attributes"].items()
        }
        names = ("images", "before", "after")
        examples = {
            y: [
                ExampleImages(*(tensors[f"{y}.{i}.{name}"] for name in names))
                for i in range(len(found))
                if f"{y}.{i}.images" in tensors
            ]
            for y, found in numbered["attributes"].items()
        }
        measured = unknown_as_nan(tree["checks"])
        checks = Checks(**measured | {"redrawn_decides": tree.pop("checks").get("redrawn_decides")})
        classes = tuple(tree.pop("classes"))
        range_ = Range(*tensors["range"]) if "range" in tensors else None
        return cls(classes=classes, checks=checks, examples=examples, range=range_, **numbered, **tree)

    def numbers(self, target: int) -> dict[int, int]:
        """Coordinate of each attribute of a class -> the attribute's number on the page, from 1 on."""
        return {a.s: i for i, a in enumerate(self.attributes[target], 1)}

    def range_for(self, generator: nn.Module) -> Range:
        """The range of each coordinate of `generator`.

        Raises:
            EvaluationError: it is of another generator, or only to be shown.
        """
        if self.range is None:
            raise EvaluationError("this explanation keeps no ranges of its coordinates, it is only shown; search again")
        if self.generator != weights_fingerprint(generator):
            raise EvaluationError("this explanation is of another generator; search again with this one")
        return self.range

    def target(self, name: int | str) -> int:
        """Number of the class called `name`, in capitals or not, or of that number, which attributes were found for.

        Raises:
            GenkitError: none.
        """
        asked = shown(name) if isinstance(name, int) else str(name)
        folded = {each.casefold(): k for k, each in enumerate(self.classes)}
        of_number = int(asked) if asked.isdecimal() and len(asked) < DIGITS else folded.get(asked.casefold(), -1)
        y = self.classes.index(asked) if asked in self.classes else of_number
        if y not in self.attributes:
            known = some([self.classes[k] for k in self.attributes])
            raise GenkitError(f"no attributes lead to class {asked[:60]!r}; they do to: {known}")
        return y


def _plain(attribute: Attribute) -> dict[str, Any]:
    return {name: value for name, value in vars(attribute).items() if name != "effects"}
