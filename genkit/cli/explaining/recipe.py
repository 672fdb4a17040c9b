"""The recipe that `genkit explain train` writes: a StyleEx of moderate size with the published losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STEPS, BATCH = 20_000, 32
SMALL = 32
"""Side length up to which rates are those of the demonstrations on rendered shapes."""


def styleex_recipe(
    name: str,
    data: Mapping[str, Any],
    classifier: str,
    weights: str,
    shape: Sequence[int],
    classes: int,
    temperature: float,
    steps: int,
    seed: int,
    balanced: bool = False,
) -> dict[str, Any]:
    """The tree of a recipe.

    Weights are those of recipes/shapes/styleex, larger than published for the sake of short trainings; multi-scale L1
    takes the place of LPIPS, which needs weights of its own. Path lengths are left out: they spread what moves a
    decision over many coordinates.

    Args:
        classifier: its name, for people.
        weights: its folder.
        shape: (C, size, size) of the images.
        classes, temperature: of the classifier, see `StyleEx`.
        balanced: whether each class is shown as often, by the labels of the images.
    """
    channels, size = shape[0], shape[-1]
    maps = {"size": size, "channels": channels, "widths": widths(size)}
    width = 64 if size <= SMALL else 128
    network = {"type": "stylegan2_generator", **maps, "latent_dim": width, "style_dim": width, "depth": 4, "mixing": 0}
    return {
        "name": name,
        "description": f"StyleEx of the classifier {classifier}, written by genkit explain train.",
        "data": dict(data),
        "system": {
            "type": "styleex_training",
            "generator": {
                "type": "styleex",
                "network": {**network, "appended": classes},
                "encoder": {"type": "stylegan2_encoder", **maps, "style_dim": width},
                "classifier": {"weights": weights},
                "temperature": temperature,
            },
            "critic": {"type": "stylegan2_critic", **maps, "outputs": classes},
            "objective": {"type": "non_saturating"},
            "penalties": [
                {"type": "r1", "weight": 1.0, "every": 16},
                {"type": "reconstruction", "weight": 2.0},
                {"type": "perceptual", "weight": 2.0},
                {"type": "latent_reconstruction", "weight": 0.2},
                {"type": "agreement"},
            ],
        },
        "optimizers": {
            "critic": {"type": "adam", "lr": 2.5e-3, "betas": [0, 0.99]},
            "generator": {"type": "adam", "lr": 2.5e-3, "betas": [0, 0.99]},
        },
        "train": {
            "steps": steps,
            "batch_size": BATCH,
            "seed": seed,
            "balanced": balanced,
            "ema_images": 10_000,
            "ema_ramp": 0.05,
        },
        "every": {"log": 50, "grid": 1000, "checkpoint": 500},
    }


def widths(size: int) -> list[int]:
    """Channels of the maps of 4, 8, ..., size pixels: 16 at the full size, doubled at each half, up to a bound."""
    most = max(32, 3 * size // 2)
    sides = [side for side in (4, 8, 16, 32, 64, 128, 256) if side <= size]
    return [min(most, 256, 16 * size // side) for side in sides]
