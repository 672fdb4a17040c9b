"""The classifier of noisy images that guides a diffusion model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from genkit.diffusion.networks.denoiser import NoisyEncoder
from genkit.diffusion.networks.pools import Pool, make_pool
from genkit.diffusion.networks.unet2d import encode, encoder2d, to_patches
from genkit.diffusion.networks.unet_plan import EncoderPlan

ADM = EncoderPlan()


class EncoderUNet(NoisyEncoder):
    """The encoder and the middle of a UNet, then a pool (Dhariwal and Nichol 2021, arXiv:2105.05233, section 4).

    Published: width 128 and the multipliers of the diffusion model, `blocks=4` at 64 pixels and 2 above. Its parameters
    may be frozen: the gradient by the image that guidance asks for needs none of theirs.

    Args:
        plan: the encoder's shape.
        classes: number of logits.
        pool: "attention" of the last map's mean over its pixels, with heads of the plan's head_width, "adaptive" for
            the mean alone, "spatial" and "spatial_v2" for two layers on the means of all maps.

    Raises:
        RecipeError: heads that do not divide the pool's channels.
    """

    def __init__(
        self, plan: EncoderPlan = ADM, classes: Annotated[int, Field(ge=2, le=10_000)] = 10, pool: Pool = "attention"
    ):
        super().__init__()
        if pool == "attention":
            plan.check_divides("head_width", plan.widths[-1])
        self.sample_shape, self.classes, self.patch = (plan.channels, plan.size, plan.size), classes, plan.patch
        self.encoder: Any = encoder2d(plan)
        self.pool = make_pool(pool, plan, classes)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional -> logits (B, classes)."""
        return self.pool(encode(self.encoder, to_patches(x, self.patch), t))
