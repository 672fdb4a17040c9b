"""The result of a search: the attributes that move a classifier, with everything that a page about them needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.files import write_atomically

JSON, TENSORS = "explanation.json", "explanation.safetensors"


@dataclass(frozen=True)
class Attribute:
    """One coordinate of StyleSpace, moved one way for the sake of one class.

    Attributes:
        layer, channel: its place in the network.
        s: its number among all coordinates.
        direction: 0 towards its smallest value over the images, 1 towards its largest.
        target_class: number of the class whose logit it raises.
        mean_effect: mean of `effects`.
        effects: (N,) change of the target's logit, over the images searched.
        moves: what measurably changes, name -> mean signed change in units of that property's deviation; of classes the
            share that is another one.
    """

    layer: str
    channel: int
    s: int
    direction: int
    target_class: int
    mean_effect: float
    effects: Tensor
    moves: Mapping[str, float] = field(default_factory=dict)


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
        reasons: not to trust it, a line each; empty where there are none.
    """

    l1: float
    l1_of_mean_image: float
    agreement: float
    reasons: list[str]


@dataclass(frozen=True)
class Explanation:
    """Attributes that move a classifier, and what they do.

    Attributes:
        classes: their names.
        attributes: target class -> its attributes, the strongest first.
        examples: target class -> those of each of its attributes.
        sufficiency: target class -> share of images flipped by the top 1, 2, ... attributes together.
        random: the same of as many random coordinates.
        only_probabilities: share flipped by changing the appended probabilities alone.
        checks: whether it is to be trusted.
        settings: of the search.
        data: the images searched: name, fingerprint, n.
        range: low and high of each coordinate over the images searched; None in an explanation that is only shown.
        generator: fingerprint of its weights.
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
    range: Any = None
    generator: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensors."""
        told = {t: [_told(a) for a in attributes] for t, attributes in self.attributes.items()}
        rest = {k: getattr(self, k) for k in ("sufficiency", "random", "only_probabilities", "settings", "data")}
        return {"classes": list(self.classes), "attributes": told, **rest, "checks": asdict(self.checks)}

    def save(self, folder: Path) -> None:
        """explanation.json, and explanation.safetensors with effects and images."""
        tensors = dict[str, Tensor]()
        for target, attributes in self.attributes.items():
            for i, attribute in enumerate(attributes):
                tensors[f"{target}.{i}.effects"] = attribute.effects.contiguous()
        for target, examples in self.examples.items():
            for i, example in enumerate(examples):
                tensors |= {f"{target}.{i}.{k}": v.contiguous() for k, v in vars(example).items()}
        write_atomically(folder / TENSORS, save(tensors))
        write_atomically(folder / JSON, (json.dumps(self.to_json(), indent=2) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> Explanation:
        tree, tensors = json.loads((folder / JSON).read_text("utf-8")), load_file(folder / TENSORS)
        numbered = {k: {int(t): v for t, v in tree[k].items()} for k in ("attributes", "sufficiency", "random")}
        attributes = {
            t: [Attribute(**a, effects=tensors[f"{t}.{i}.effects"]) for i, a in enumerate(found)]
            for t, found in numbered["attributes"].items()
        }
        examples = {
            t: [
                ExampleImages(*(tensors[f"{t}.{i}.{k}"] for k in ("images", "before", "after")))
                for i in range(len(found))
                if f"{t}.{i}.images" in tensors
            ]
            for t, found in attributes.items()
        }
        rest = {"attributes": attributes, "examples": examples, "classes": tuple(tree["classes"])}
        return cls(**{**tree, **numbered, **rest, "checks": Checks(**tree["checks"])})

    def target(self, name: int | str) -> int:
        """Number of the class called `name`, or of that number, which attributes were found for.

        Raises:
            GenkitError: none.
        """
        y = self.classes.index(str(name)) if name in self.classes else int(name) if str(name).isdecimal() else -1
        if y not in self.attributes:
            told = ", ".join(self.classes[k] for k in self.attributes)
            raise GenkitError(f"no attributes lead to class {str(name)[:60]!r}; they do to: {told}")
        return y


def _told(attribute: Attribute) -> dict[str, Any]:
    return {k: v if not isinstance(v, torch.Tensor) else None for k, v in vars(attribute).items() if k != "effects"}
