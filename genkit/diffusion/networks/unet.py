"""The UNets of diffusion models: DDPM, improved DDPM and ADM, through diffusers' UNet2DModel."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.errors import ConditionError, RecipeError
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.networks.quick_blocks import quick_layout
from genkit.diffusion.networks.unet2d import from_patches, to_patches, unet2d
from genkit.diffusion.networks.unet_plan import SideLength, UNetPlan
from genkit.layers.arguments import check_labels

ADM = UNetPlan()
UPSAMPLER = UNetPlan(size=256, width=192, multipliers=(1, 1, 2, 2, 4, 4), attention=(32, 16, 8))


class UNet(Denoiser):
    """The UNet of Dhariwal and Nichol 2021 (arXiv:2105.05233), and with other plans those of its predecessors.

    Whatever the plan, the last layers of every residual branch and of the network start at zero, so that a new network
    answers zero.

    Args:
        plan: its shape.
    """

    images: ClassVar[int] = 1
    """Number of input images, joined along the channels."""

    def __init__(self, plan: UNetPlan = ADM):
        super().__init__()
        self.sample_shape, self.outputs = (plan.channels, plan.size, plan.size), plan.outputs
        self.classes, self.unlabelled, self.patch = plan.classes, plan.unlabelled, plan.patch
        self.unet: Any = unet2d(plan, self.images)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional, label (B,) int64 -> (B, outputs, H, W).

        Raises:
            ConditionError: a label that it does not take, or none where it needs one.
        """
        check_labels(y, self.classes + self.unlabelled)
        x = quick_layout(to_patches(x, self.patch))
        return from_patches(self.unet(x, t, class_labels=y, return_dict=False)[0], self.patch)


class SuperResolutionUNet(UNet):
    """A UNet that also sees a small image: enlarged bilinearly and laid beside the noisy one (arXiv:2105.05233, 4.3).

    Published: 64 -> 256 has width 192, `multipliers=[1, 1, 2, 2, 4, 4]`, `heads=4`; 128 -> 512 attends at 32 and 16 and
    has heads of 64 channels.

    Args:
        low_size: side length of the small image in pixels.
        plan: its shape.

    Raises:
        RecipeError: a low_size that is not below the plan's size.
    """

    images = 2

    def __init__(self, low_size: SideLength, plan: UNetPlan = UPSAMPLER):
        if low_size >= plan.size:
            raise RecipeError(f"low_size: must be below size, {plan.size}; got {low_size}")
        super().__init__(plan)
        self.low_shape = (plan.channels, low_size, low_size)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, *, low_res: Tensor | None = None) -> Tensor:
        """As UNet, given the small images too, (B, C, low_size, low_size) in [-1, 1].

        Raises:
            ConditionError: no small image, or as UNet.
        """
        if low_res is None:
            small = f"small images (B, {', '.join(map(str, self.low_shape))})"
            raise ConditionError(f"this network needs low_res, {small}, which a generator of type upsampler gives it")
        large = F.interpolate(low_res, x.shape[-2:], mode="bilinear")
        return super().forward(torch.cat([x, large], dim=1), t, y)
