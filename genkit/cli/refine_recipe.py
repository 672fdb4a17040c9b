"""The recipe that `genkit refine` writes: the ratio of densities behind finished weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genkit.cli.own_recipe import lasting
from genkit.core.errors import GenkitError, WeightsError, kind_of

if TYPE_CHECKING:
    from genkit.core.generator import Generator

TRAINED, CALIBRATED = ("keep", "head", "fresh"), ("platt", "isotonic")
"""Kinds of ratios."""
HIDDEN, POOL = 128, 10_000
FEATURED = "a critic or a classifier has some; or take --ratio keep, fresh or platt"
LINEAR = 1e-2
"""Rate of a linear head, whose loss is convex."""
LOOKS, JUDGED = 10, 2000
"""Times that a training is judged, the best of them being kept; samples of each look, and of the burn-in before it."""


def part(data: Mapping[str, Any], low: float, high: float, seed: int) -> dict[str, Any]:
    return {"type": "random_part", "data": dict(data), "low": low, "high": high, "seed": seed}


def critic_of(weights: str) -> dict[str, str] | None:
    """The critic of a run, as a recipe names it; None where it keeps none."""
    from genkit.core.location import locate

    try:
        locate(weights, "critic")
    except WeightsError:
        return None
    return {"weights": lasting(weights), "product": "critic"}


def ratio_spec(weights: str, kind: str, generator: Generator, features: str | None = None) -> dict[str, Any]:
    """A ratio before it is trained or calibrated.

    Args:
        kind: "fresh" for a new critic, "head" for a new head on the run's, else the run's as it is.
        features: weights of another network whose features a head reads, such as a classifier.

    Raises:
        GenkitError: the weights keep no critic, or one without features for a head.
    """
    if features:
        return _head_on({"weights": lasting(features)}, 0, "--features", generator)
    if kind == "fresh":
        return {"type": "density_ratio", "critic": _fresh_critic(generator)}
    critic = critic_of(weights)
    if critic is None:
        raise GenkitError(f"--ratio {kind} needs a critic, and {weights} keeps none; give the run of a GAN, or fresh")
    if kind != "head":
        return {"type": "density_ratio", "critic": critic}
    return _head_on(critic, HIDDEN, "--ratio head", generator)


def _head_on(network: dict[str, str], hidden: int, where: str, generator: Generator) -> dict[str, Any]:
    """A head on the features of `network`.

    A linear one (`hidden` 0) makes what is kept agree with the data in the mean of every feature, and in little else:
    what no feature shows, such as the grain of an image, decides nothing.
    """
    from torch import nn

    from genkit.core.reference import load_reference

    found = load_reference(nn.Module, network, where)
    width = getattr(found, "feature_dim", None)
    if width is None or not hasattr(found, "features"):
        raise GenkitError(f"{where}: {kind_of(found)} has no features; {FEATURED}")
    seen, made = (list(getattr(each, "sample_shape", ())) for each in (found, generator))
    if seen and seen != made:
        raise GenkitError(f"{where}: {kind_of(found)} takes samples {seen}, and the generator makes {made}")
    head = {"type": "ratio_head", "feature_dim": width, "width": hidden}
    return {"type": "density_ratio", "critic": network, "head": head}


def _fresh_critic(generator: Generator) -> dict[str, Any]:
    """A critic of samples of a class; of samples alone where the generator may be left to choose it."""
    shape, label = generator.sample_shape, generator.conditions.get("label")
    classes = 0 if label is None or label.free else generator.conditions.classes
    if len(shape) == 1:
        return {"type": "mlp_critic", "dims": shape[0], "width": HIDDEN, "depth": 3, "classes": classes}
    return {"type": "dcgan_critic", "size": shape[-1], "channels": shape[0], "width": 32, "classes": classes}


def refine_recipe(
    name: str,
    weights: str,
    sampled: str,
    kind: str,
    features: str | None,
    generator: Generator,
    data: Mapping[str, Any],
    looks: Mapping[str, Any],
    steps: int,
    seed: int,
) -> dict[str, Any]:
    """The tree of a recipe that keeps the checkpoint of the least cross-entropy on held-out samples.

    Args:
        looks: these samples, on which the ratio is not judged afterwards.
        sampled: the weights as they are sampled, where that is otherwise than as they are.
    """
    from genkit.core.generator import LatentGenerator

    points = len(generator.sample_shape) == 1
    system = {
        "type": "keep_training",
        "generator": {"weights": lasting(sampled)},
        "ratio": ratio_spec(weights, kind, generator, features),
        "pool": 0 if isinstance(generator, LatentGenerator) else POOL,
        "samples": JUDGED,
        "seed": seed,
    }
    rate = LINEAR if features else 1e-3 if points or kind == "head" else 2e-4
    adam = {"type": "adam", "lr": rate, "betas": [0.5, 0.999], "schedule": {"type": "cosine"}}
    often = max(1, steps // LOOKS)
    return {
        "name": name,
        "description": f"The ratio of densities behind {weights}, written by genkit refine.",
        "data": dict(data),
        "system": system,
        "optimizers": {"ratio": adam},
        "train": {"steps": steps, "batch_size": 512 if points else 64, "seed": seed, "ema": 0.99},
        "every": {"log": 50, "grid": 0, "checkpoint": often, "evaluate": often},
        "evaluate": {"against": dict(looks), "metrics": ["ratio"], "n": JUDGED, "best": "bce", "select": True},
    }


def advice(kind: str, weights: str) -> str:
    """Advice for a ratio of this kind that is not calibrated."""
    if kind == "platt":
        return "take --ratio isotonic, which fits any rising curve, or keep"
    if kind in CALIBRATED:
        return "judge it on more real samples with --held-out"
    if kind in TRAINED:
        other = ", or take --ratio platt or isotonic" if critic_of(weights) else ""
        return f"train it longer with --steps{other}"
    return "calibrate it with --ratio keep, platt or isotonic"
