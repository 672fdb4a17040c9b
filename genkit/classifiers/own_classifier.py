"""A classifier that is code of the user's: a file keeps what is known of it, and never what would run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple
from weakref import ref

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.fitness import attempt
from genkit.classifiers.foreign_classifier import ForeignClassifier
from genkit.classifiers.preprocessing import Preprocessing
from genkit.core.errors import WeightsError
from genkit.core.fingerprint import weights_fingerprint
from genkit.core.frozen import freeze
from genkit.layers.arguments import ImageSize


class BoundModule(NamedTuple):
    """A module of the user's in this process, and the fingerprint of its weights."""

    module: nn.Module
    weights: str


ASKED, FIRST, SUMS, BOUND = 6, 8, 8, 100.0
"""Images by which a module is known again; classes whose logits are kept, sums over all, and the bound of a logit in
them, above which one that is masked would hide the others."""

_BOUND: dict[str, BoundModule] = {}
"""Source -> the module. Only `bind` adds to it, and only code calls `bind`: no file is asked for a module."""


class OwnClassifier(ForeignClassifier):
    """Images in [-1, 1] -> logits of a module that `bind` has put in its place in this process.

    The module is no part of this one: its weights are neither saved nor loaded, and it is never imported by `source`,
    which is a text for people. Files that were made with it keep its shape, classes and preprocessing.

    Args:
        source: the name by which the module was given, `package.module:factory`.
        size: side length of the images.
        classes: at least 2.
        class_names: one name a class.
        weights: fingerprint of the module's weights; another module of that name is refused. "" takes any.
        preprocessing: of the images.
        answers: see `answers_of`; a module that answers otherwise, as one of equal weights and other code may, is
            refused when it is first asked. Empty takes any.
    """

    def __init__(
        self,
        source: str,
        size: ImageSize,
        classes: Annotated[int, Field(ge=2, le=10_000)],
        class_names: Sequence[str] = (),
        weights: str = "",
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 - frozen
        answers: Sequence[Sequence[float]] = (),
    ):
        super().__init__(size, classes, class_names, preprocessing)
        self.source, self.weights, self.answers = source, weights, answers
        self._recognised: ref[nn.Module] | None = None

    def outputs(self, x: Tensor) -> Any:
        module = bound(self.source, self.weights)
        if self.device != x.device:
            module.to(x.device)
        known = not self.answers or (self._recognised is not None and self._recognised() is module)
        if not known and not x.is_meta and not torch.compiler.is_compiling():
            self._recognised = ref(module)
            if not alike(self.answers, answers_of(self)):
                self._recognised = None
                raise WeightsError(changed(self.source))
        return module(x)

    @property
    def device(self) -> torch.device:
        """That of the module; the CPU where none is bound or it has no weights."""
        found = _BOUND.get(self.source)
        tensors = chain(found.module.parameters(), found.module.buffers()) if found else iter(())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))


@torch.no_grad()
def answers_of(classifier: Any, together: bool = True) -> list[list[float]]:
    """Numbers by which a classifier's code is known again: what it says of a few images that are always the same.

    A row an image: logits of the first classes and, of more classes, random sums over all. A row without a finite
    logit in place is empty, and there are no rows where all would be.

    Args:
        together: the images come in one batch, else one by one.

    Raises:
        WeightsError: it does not take such images.
    """
    shape, device, rng = torch.Size(classifier.sample_shape), classifier.device, torch.Generator().manual_seed(0)
    coarse = torch.rand(ASKED, shape[0], 4, 4, generator=rng)
    x = F.interpolate(coarse, size=tuple(shape[1:]), mode="bilinear").to(device) * 2 - 1
    with torch.autocast(device.type, enabled=False):
        logits = torch.cat([attempt(classifier, part) for part in x.split(ASKED if together else 1)]).double().cpu()
    numbers = logits[:, :FIRST]
    if logits.shape[1] > FIRST:
        signs = 2.0 * torch.randint(2, (logits.shape[1], SUMS), generator=rng).double() - 1
        numbers = torch.cat([numbers, logits.clamp(-BOUND, BOUND) @ signs], 1)
    rows = [[float(f"{z:.7g}") for z in row] if row.isfinite().all() else [] for row in numbers]
    return rows if any(rows) else []


def alike(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> bool:
    """Whether answers differ by no more than other devices and precisions round."""
    if [len(row) for row in one] != [len(row) for row in other]:
        return False
    a, b = (torch.tensor([list(row) for row in rows if row], dtype=torch.float64) for rows in (one, other))
    if not a.numel():
        return True
    rounding = 0.01 * (a.amax(0) - a.amin(0)) + 0.001 * a.abs().amax(0)
    return bool(((a - b).abs() <= rounding + 1e-9).all())


def changed(source: str) -> str:
    """A line about a module whose answers are no longer those that are known."""
    return (
        f"{source} answers otherwise than when this was made, with the same weights: its code, or what that uses, has "
        "changed; give the classifier as it was, or train the explanation again"
    )


def bind(source: str, module: nn.Module) -> str:
    """Puts a module in the place of every OwnClassifier of that source in this process, frozen; its fingerprint."""
    _BOUND[source] = BoundModule(freeze(module), weights_fingerprint(module))
    return _BOUND[source].weights


def unbind(source: str) -> None:
    """Takes it out again."""
    _BOUND.pop(source, None)


def bound(source: str, weights: str = "") -> nn.Module:
    """The module of a source.

    Raises:
        WeightsError: none is bound, or one of other weights.
    """
    found = _BOUND.get(source)
    if found is None:
        raise WeightsError(
            f"the classifier {source} is code of yours, which no file may import: give it on the command line, "
            f"as in 'genkit explain {source} IMAGES --by RUN', or in Python by genkit.classifiers.own_classifier.bind"
        )
    if weights and weights != found.weights:
        raise WeightsError(
            f"{source} has other weights now than when this was made ({found.weights[:8]} instead of {weights[:8]}); "
            "give the classifier as it was, or train the explanation again"
        )
    return found.module
