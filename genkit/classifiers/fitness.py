"""Whether a classifier can be explained: it takes the images, gives logits, and its gradients reach the input."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError, WeightsError, first_line
from genkit.core.precision import wide

WARM, HOTTEST = 0.9, 1_000_000
"""Mean probability of the class decided for that still says how clearly an image is of it; the highest temperature."""
RANDOM = (
    "the classifier says other numbers of the same images each time, so that no change can be put down to an image: "
    "leave randomness out of its evaluation"
)


def check_explicable(classifier: nn.Module, x: Tensor) -> None:
    """Runs a classifier on images and back, before hours are spent on it.

    Args:
        x: (B, C, H, W) in [-1, 1], real images where there are any.

    Raises:
        WeightsError: it does not take them, gives no logits of at least two classes or some that are not finite, or
            no gradient reaches the images.
    """
    leaf = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = attempt(classifier, leaf)
        _check_logits(logits, len(x))
        if not attempt(classifier, x).allclose(logits, rtol=1e-3, atol=1e-4):
            raise WeightsError(RANDOM)
        if not logits.requires_grad:
            raise WeightsError(
                "no gradient of the classifier reaches its images; it is detached or exported, and its changes cannot "
                "be learned: give the module itself"
            )
        (slope,) = torch.autograd.grad((logits * _signs(logits)).sum(), leaf)
    if not slope.isfinite().all():
        raise WeightsError("gradients of the classifier are not finite for these images")
    if not slope.any():
        raise WeightsError("the classifier does not depend on its images: all gradients are 0")


def temperature_for(logits: Tensor) -> int:
    """The least whole temperature at which the top probability is at most `WARM` on average.

    Args:
        logits: (B, classes) of real images.

    Raises:
        WeightsError: there is none up to `HOTTEST`.
    """

    def warm(temperature: int) -> bool:
        return (wide(logits) / temperature).softmax(1).amax(1).mean().item() <= WARM

    found = bisect_left(range(1, HOTTEST + 1), True, key=warm) + 1
    if found > HOTTEST:
        raise WeightsError(
            f"the classifier is certain of most images even where its logits are divided by {HOTTEST:,}, so no change "
            "could show: scale them down in its forward"
        )
    return found


def attempt(classifier: nn.Module, x: Tensor) -> Tensor:
    """Logits of images; raises WeightsError where the classifier does not take them."""
    try:
        logits: Tensor = classifier(x)
    except GenkitError:
        raise
    except Exception as failure:  # code of anybody's
        told = f"{type(failure).__name__}: {first_line(failure)}"
        raise WeightsError(
            f"the classifier does not take images {_taken(classifier, x)}: {told}{_advice(str(failure))}"
        ) from failure
    return logits


def _taken(classifier: nn.Module, x: Tensor) -> str:
    """The shape of images, and what the preparation before a classifier makes of their size."""
    size = getattr(getattr(classifier, "preprocessing", None), "input_size", 0)
    return f"{tuple(x.shape)}" + (f", resized to {size} x {size}" if size else "")


def _advice(why: str) -> str:
    """Advice on a failure that its words show to be of the shape or the type of the images; else none."""
    if any(word in why for word in ("dtype", "scalar type", "bias type", "Double", "Half")):
        return "; images are float32: convert them, or the module, in the factory"
    if any(word in why for word in ("shape", "size", "channel", "dimension", "expected")):
        return "; see the options --input-size and --grey"
    return ""


def _check_logits(logits: Tensor, n: int) -> None:
    shape = tuple(logits.shape)
    if logits.dim() != 2 or shape[0] != n:
        raise WeightsError(f"the classifier gives a tensor {shape} for {n} images; logits are needed, ({n}, classes)")
    if shape[1] < 2:
        raise WeightsError(f"an explanation needs at least 2 classes, and the classifier has {shape[1]}")
    check_finite(logits)


def refuse_probabilities(logits: Tensor) -> None:
    """Raises WeightsError for what looks like probabilities; the more images they are of, the surer that is.

    Args:
        logits: (B, K) as `genkit.classifiers.foreign_classifier.logits_of` gives them.
    """
    single = logits.shape[1] == 2 and logits[:, 0].equal(-logits[:, 1]) and bool((logits != logits[:1]).any())
    if single and bool(((logits[:, 1] >= 0) & (logits[:, 1] <= 0.5)).all()):  # half of the number, see `logits_of`
        raise WeightsError(
            "the classifier gives one number an image, all between 0 and 1: probabilities, it seems, where a logit is "
            "needed: leave its last sigmoid out"
        )
    if (logits >= 0).all() and bool(((logits.sum(1) - 1).abs() < 1e-4).all()):
        raise WeightsError(
            "the classifier gives probabilities, which sum to 1; logits are needed: leave its last softmax out"
        )


def like_probabilities(logits: Tensor) -> Iterator[str]:
    """A line on (B, K) logits that may be the probabilities of a sigmoid for each class."""
    if bool(((logits >= 0) & (logits <= 1)).all()):
        yield (
            "all numbers of the classifier lie between 0 and 1, as probabilities do: where it ends in a sigmoid leave "
            "that out, or it can never be sure of a class"
        )


def check_finite(logits: Tensor, names: Sequence[str] = ()) -> None:
    """Raises WeightsError for numbers that are none.

    Args:
        names: of the images.
    """
    if len(bad := (~logits.isfinite().all(1)).nonzero()):
        if len(bad) == len(logits) > 1:
            raise WeightsError("the classifier gives numbers that are not finite (nan or infinite) for every image")
        where = names[int(bad[0])] if names else "one of the images"
        raise WeightsError(
            f"the classifier gives numbers that are not finite (nan or infinite) for {where}: mend it, or leave the "
            "image out"
        )


def _signs(logits: Tensor) -> Tensor:
    """1 for the first class, -1 for the others: a plain sum of logits may have no slope where their differences do."""
    return torch.cat([torch.ones_like(logits[:, :1]), -torch.ones_like(logits[:, 1:])], 1)
