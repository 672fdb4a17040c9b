"""Any UNet2DModel of diffusers as a denoiser, built from its own settings."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genkit.core.errors import RecipeError, suggest
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.networks.quick_blocks import quick_layout, quicken
from genkit.diffusion.networks.unet2d import unet_class
from genkit.layers.arguments import check_labels


class DiffusersUNet(Denoiser):
    """A UNet2DModel with any settings; imported pipelines have one. To train from the start, take `unet`.

    Args:
        settings: arguments of its constructor, as in its config.json.

    Raises:
        RecipeError: settings that diffusers does not know, or that make no network from noisy images to their noise.
    """

    def __init__(self, settings: dict[str, Any]):
        super().__init__()
        self.unet: Any = _built(settings)
        config = self.unet.config
        self.sample_shape, self.outputs = (config.in_channels, *_sides(config.sample_size)), config.out_channels
        self.classes, self.unlabelled = config.num_class_embeds or 0, False
        _check(config)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional, label (B,) int64 -> (B, outputs, H, W).

        Raises:
            ConditionError: labels where it takes none, or none where it needs them.
        """
        check_labels(y, self.classes)
        output: Tensor = self.unet(quick_layout(x), t, class_labels=y, return_dict=False)[0]
        return output


def _built(settings: Mapping[str, Any]) -> Any:
    UNet2DModel = unet_class()
    known = set(inspect.signature(UNet2DModel.__init__).parameters) - {"self"}
    if unknown := sorted(settings.keys() - known):
        raise RecipeError(f"settings.{unknown[0]}: UNet2DModel has no such argument{suggest(unknown[0], known)}")
    for name, value in settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"settings.{name}: input should be a finite number, got {value}")
    try:
        unet = UNet2DModel(**settings)
    except Exception as refusal:  # diffusers checks little, and what it meets then is of a dozen unrelated types
        reason = " ".join(str(refusal).split())[:160]
        raise RecipeError(f"settings: UNet2DModel cannot be built from them ({reason})") from refusal
    quicken(unet)  # type: ignore[arg-type]
    return unet


def _sides(size: Any) -> tuple[int, int]:
    match size:
        case int():
            return size, size
        case [int(height), int(width)]:
            return height, width
    raise RecipeError(f"settings.sample_size: a side length in pixels, or [height, width], is needed; got {size!r}")


def _check(config: Any) -> None:
    channels = config.in_channels
    accepted = {
        "out_channels": (channels, 2 * channels),
        "class_embed_type": (None,),
        "time_embedding_type": ("positional", "fourier"),
    }
    for name, values in accepted.items():
        if config[name] not in values:
            raise RecipeError(
                f"settings.{name}: {' or '.join(map(str, values))} can be used here, got {config[name]!r}"
            )
