"""An encoder shaped like the critic of StyleGAN2: images -> w."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from genkit.core.pretrained import Pretrained
from genkit.gan.stylegan2.critic import HalvingBody
from genkit.gan.stylegan2.equalised import EqualisedLinear
from genkit.gan.stylegan2.widths import Config, StyleSize, map_widths
from genkit.layers.arguments import Channels, Width


class StyleGAN2Encoder(Pretrained, HalvingBody):
    """Images -> w (B, style_dim): the body of StyleGAN2Critic without minibatch deviation, and a dense layer.

    Args:
        size: side length in pixels, a power of two.
        channels: 1 for grey, 3 for colour.
        config, widths: channels of the maps, as of StyleGAN2Generator.
        skips: residual blocks; without, plain ones.
        style_dim: width of w.

    Raises:
        RecipeError: a size that is no power of two, or widths that do not go with it.
    """

    def __init__(
        self,
        size: StyleSize = 32,
        channels: Channels = 3,
        config: Config = "f",
        widths: Sequence[Width] = (),
        skips: bool = True,
        style_dim: Width = 512,
    ):
        super().__init__()
        every = map_widths(size, config, widths)
        self.sample_shape, self.style_dim = (channels, size, size), style_dim
        self.make_body(channels, every, skips, group=1)
        self.head = EqualisedLinear(every[0], style_dim)

    def forward(self, x: Tensor) -> Tensor:
        w: Tensor = self.head(self.features(x))
        return w
