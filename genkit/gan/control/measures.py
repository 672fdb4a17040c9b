"""Measures of an attribute of an image: predictors, classifiers, colour, texture, or one's own module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError, kind_of, shown, suggest
from genkit.core.precision import full
from genkit.core.pretrained import Configured
from genkit.gan.control.contrast import gram, mean_colour
from genkit.gan.layer_outputs import check_layers, layer_outputs


@runtime_checkable
class Measure(Protocol):
    """A measure by which images are compared: any module with this method, the user's too. It is frozen in use.

    A `sample_shape`, where it has one, is that of the images which it takes: it is shown them `reduced` to it.
    """

    def embed(self, x: Tensor) -> Tensor:
        """(B, ...), with a graph, of images (B, C, H, W) around [-1, 1]."""
        ...


@runtime_checkable
class Readable(Measure, Protocol):
    """A measure that reads a value, which a generator can then be asked for."""

    @property
    def column(self) -> Column:
        """The value that is asked for."""
        ...

    def read(self, x: Tensor) -> Tensor:
        """Of images (B, C, H, W): numbers (B,) of a column `Values`, or the probability of each class of `Labels`,
        (B, classes)."""
        ...


@runtime_checkable
class ReadsAttributes(Protocol):
    """A network that reads several attributes of an image, each a column of its `conditions`."""

    @property
    def conditions(self) -> ConditionSpace: ...
    def embed(self, x: Tensor, name: str) -> Tensor: ...
    def predict(self, x: Tensor) -> Mapping[str, Tensor]: ...


class PredictedAttribute(Configured, nn.Module):
    """One attribute of a finished predictor: probabilities of a class, a standardised number, or a unit vector.

    Args:
        predictor: `{weights: NAME}`, or an earlier stage.
        attribute: which of its attributes.

    Raises:
        RecipeError: it reads no such attribute.
    """

    def __init__(self, predictor: ReadsAttributes, attribute: str):
        super().__init__()
        if attribute not in predictor.conditions:
            raise RecipeError(
                f"attribute: the predictor reads no {shown(attribute)}{suggest(attribute, predictor.conditions)}"
            )
        self.predictor, self.attribute = predictor, attribute
        self.sample_shape: tuple[int, ...] = tuple(getattr(predictor, "sample_shape", ()))

    @property
    def column(self) -> Column:
        return self.predictor.conditions[self.attribute]

    def embed(self, x: Tensor) -> Tensor:
        return self.predictor.embed(x, self.attribute)

    def read(self, x: Tensor) -> Tensor:
        return self.embed(x) if isinstance(self.column, Labels) else self.predictor.predict(x)[self.attribute]


class PredictedClass(Configured, nn.Module):
    """The class that a finished classifier sees.

    Args:
        classifier: images -> logits (B, classes).
        compared: what distances are of: its "probabilities", or its "logits".

    Raises:
        RecipeError: it tells no number of `classes`, so that it is none.
    """

    def __init__(self, classifier: nn.Module, compared: Literal["probabilities", "logits"] = "probabilities"):
        super().__init__()
        if not isinstance(getattr(classifier, "classes", None), int):
            other = "; an attribute of a predictor is read by predicted_attribute"
            use = other if isinstance(classifier, ReadsAttributes) else ""
            raise RecipeError(f"classifier: a classifier is needed, got {kind_of(classifier)}{use}")
        self.classifier, self.compared = classifier, compared
        self.sample_shape: tuple[int, ...] = tuple(getattr(classifier, "sample_shape", ()))

    @property
    def column(self) -> Labels:
        classes: int = self.classifier.classes  # type: ignore[assignment]
        return Labels(classes, getattr(self.classifier, "class_names", ()))

    def embed(self, x: Tensor) -> Tensor:
        logits = self._logits(x)
        return logits if self.compared == "logits" else full(logits).softmax(1)

    def read(self, x: Tensor) -> Tensor:
        return full(self._logits(x)).softmax(1)

    def _logits(self, x: Tensor) -> Tensor:
        found: Tensor = self.classifier(x)
        return found


class MeanColour(Configured, nn.Module):
    """The mean of each channel, in [0, 1]: (B, C)."""

    def embed(self, x: Tensor) -> Tensor:
        return mean_colour(x)[:, :-1]


class GramMatrices(Configured, nn.Module):
    """Texture: which features of a finished network occur together, wherever (Gatys et al. 2016), (B, F, F).

    Args:
        network: any, such as a classifier.
        layer: the module of it whose maps (B, F, H, W) are taken, by its dotted name.

    Raises:
        RecipeError: it has no such layer.
    """

    def __init__(self, network: nn.Module, layer: str):
        super().__init__()
        check_layers(network, [layer], "layer")
        self.network, self.layer = network, layer
        self.sample_shape: tuple[int, ...] = tuple(getattr(network, "sample_shape", ()))

    def embed(self, x: Tensor) -> Tensor:
        return gram(layer_outputs(self.network, [self.layer], x)[0])


def embedded(measure: Measure, x: Tensor, attribute: str) -> Tensor:
    """The embeddings (B, ...) by which the measure compares images (B, C, H, W).

    Raises:
        RecipeError: it gives something else.
    """
    found = measure.embed(reduced(x, measure))
    if not isinstance(found, Tensor) or found.dim() < 1 or len(found) != len(x):
        raise RecipeError(f"{attribute}: embed of its measure gives {_what(found)}; ({len(x)}, ...) is wanted here")
    return full(found)


def values_read(measure: Readable, x: Tensor, attribute: str) -> Tensor:
    """Values read off images (B, C, H, W): (B,), of classes (B, classes).

    Raises:
        RecipeError: it gives something else.
    """
    found, column = measure.read(reduced(x, measure)), measure.column
    wanted = (len(x), column.classes) if isinstance(column, Labels) else (len(x),)
    if not isinstance(found, Tensor) or found.shape != wanted:
        raise RecipeError(f"{attribute}: read of its measure gives {_what(found)}; {list(wanted)} is wanted here")
    return full(found)


def _what(found: object) -> str:
    return f"a tensor {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__


def reduced(x: Tensor, measure: object) -> Tensor:
    """Images as large as the measure takes them: means of squares of pixels, where x is larger."""
    taken: tuple[int, ...] = getattr(measure, "sample_shape", ())
    times = x.shape[-1] // taken[-1] if taken else 1
    return F.avg_pool2d(x, times) if times > 1 else x


def check_measure(measure: object, sample_shape: tuple[int, ...], attribute: str) -> None:
    """Raises RecipeError unless the measure takes images of `sample_shape`, or smaller ones by a whole number."""
    taken = tuple(getattr(measure, "sample_shape", ()) or sample_shape)
    smaller = len(taken) == len(sample_shape) == 3 and not any(a % b for a, b in zip(sample_shape, taken, strict=True))
    if not smaller or taken[0] != sample_shape[0] or sample_shape[1] * taken[2] != sample_shape[2] * taken[1]:
        raise RecipeError(
            f"{attribute}: its measure takes images of {list(taken)}, and the generator makes {list(sample_shape)}; a "
            "side of the one must be a whole number of times that of the other"
        )
