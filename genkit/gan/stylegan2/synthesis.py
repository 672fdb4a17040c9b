"""The synthesis network of StyleGAN2, with skip connections: styles and noise -> an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError, suggest
from genkit.core.precision import full_precision
from genkit.core.styled import Halfway
from genkit.gan.stylegan2.equalised import EqualisedLinear
from genkit.gan.stylegan2.fir import FIR
from genkit.gan.stylegan2.modulated import StyledConv, ToRGB
from genkit.gan.stylegan2.widths import sides


class Block(nn.Module):
    """The layers of one map size: conv0, which doubles it (not at 4 pixels), conv1, and torgb."""

    def __init__(self, inputs: int, outputs: int, side: int, channels: int, style_dim: int):
        super().__init__()
        up = side > 4
        self.conv0 = StyledConv(inputs, outputs, style_dim, side, up=True) if up else None
        self.conv1 = StyledConv(outputs, outputs, style_dim, side)
        self.torgb = ToRGB(outputs, channels, style_dim)

    def convs(self) -> dict[str, StyledConv]:
        first = {} if self.conv0 is None else {"conv0": self.conv0}
        return {**first, "conv1": self.conv1}


class Synthesis(nn.Module):
    """Styles and noise -> images (B, channels, size, size), unbounded.

    A block's torgb reads the same vector of W+ as the first convolution of the next block.

    Args:
        size: side length in pixels.
        channels: 1 for grey, 3 for colour.
        style_dim: width of w.
        widths: channels of the maps of 4, 8, ..., size pixels.

    Attributes:
        style_channels, style_layers: see `genkit.core.styled`.
        noise_sides: of the noise of each convolution, in order.
    """

    def __init__(self, size: int, channels: int, style_dim: int, widths: Sequence[int]):
        super().__init__()
        every = sides(size)
        inputs = [widths[0], *widths]
        self.const = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.blocks = nn.ModuleDict(
            {f"b{s}": Block(i, o, s, channels, style_dim) for s, i, o in zip(every, inputs, widths, strict=False)}
        )
        self.fir = FIR()
        self.style_layers = {name: index for name, index, _ in self._affines()}
        self.style_channels = {name: len(affine.bias) for name, _, affine in self._affines()}
        self.noise_sides = [s for s in every for _ in range(1 if s == 4 else 2)]

    @property
    def depth(self) -> int:
        """Vectors of W+."""
        return 2 * len(self.blocks)

    def _affines(self) -> Iterator[tuple[str, int, EqualisedLinear]]:
        """Layer, vector of W+, and the linear map from the vector to the layer's style."""
        for k, (name, block) in enumerate(self.blocks.items()):
            assert isinstance(block, Block)
            for conv, layer in block.convs().items():
                yield f"{name}.{conv}", 2 * k if conv == "conv1" else 2 * k - 1, layer.affine
            yield f"{name}.torgb", 2 * k + 1, block.torgb.affine

    def styles(self, w: Tensor) -> dict[str, Tensor]:
        """W+ (B, depth, style_dim) -> the style of every layer, float32 in mixed precision too."""
        with full_precision(w):
            w = w.to(self.const.dtype)
            return {name: affine(w[:, index]) for name, index, affine in self._affines()}

    def forward(
        self, styles: Mapping[str, Tensor], noise: Sequence[Tensor] | None = None, start: Halfway | None = None
    ) -> Tensor:
        """`noise`: one (B or 1, 1, side, side) for each of `noise_sides`; None takes that of the buffers.

        From `start` on where it is given: the layers before it, their styles and noise are not used.
        """
        self._check(styles, noise)
        image: Tensor | None = None
        for state in self._states(styles, noise, start):
            image = state.image
        assert image is not None
        return image

    def halfway(self, styles: Mapping[str, Tensor], noise: Sequence[Tensor] | None = None) -> dict[str, Halfway]:
        """The state before each layer, by its name."""
        self._check(styles, noise)
        return {state.layer: state for state in self._states(styles, noise, None) if state.layer}

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        """The state behind the layer of `state`, of one image: see `StyledConv.moved`."""
        layers = dict(self._layers())
        layer, names = layers[state.layer], [*layers, ""]
        behind, made = names[names.index(state.layer) + 1], layer.moved(state.x, style, channels, values)
        if isinstance(layer, ToRGB):
            return Halfway(behind, state.x, self._added(state.image, made))
        return Halfway(behind, made, state.image)

    def _layers(self) -> Iterator[tuple[str, StyledConv | ToRGB]]:
        for name, block in self.blocks.items():
            assert isinstance(block, Block)
            for conv, layer in block.convs().items():
                yield f"{name}.{conv}", layer
            yield f"{name}.torgb", block.torgb

    def _states(
        self, styles: Mapping[str, Tensor], noise: Sequence[Tensor] | None, start: Halfway | None
    ) -> Iterator[Halfway]:
        """`start` and the state before each layer behind it; the last holds the image, whole."""
        left: Iterator[Tensor | None] = iter(noise or [None] * len(self.noise_sides))  # type: ignore[list-item]
        first = start or Halfway("b4.conv1", self.const.expand(styles["b4.conv1"].shape[0], -1, -1, -1), None)
        begun, (_, x, image) = False, first
        for name, layer in self._layers():
            drawn = None if isinstance(layer, ToRGB) else next(left)
            begun = begun or name == first.layer
            if not begun:
                continue
            yield Halfway(name, x, image)
            alone = start is not None and noise is None and len(x) == 1
            style = _once(styles[name]) if alone else styles[name]
            if isinstance(layer, ToRGB):
                image = self._added(image, layer(x, style))
            else:
                x = layer(x, style, drawn)
        yield Halfway("", x, image)

    def _added(self, image: Tensor | None, rgb: Tensor) -> Tensor:
        """Images are added up as precisely as the weights are kept."""
        rgb = rgb.to(self.const.dtype)
        if image is None:
            return rgb
        with full_precision(rgb):
            return self.fir.up(image) + rgb

    def _check(self, styles: Mapping[str, Tensor], noise: Sequence[Tensor] | None) -> None:
        for name in styles:
            if name not in self.style_channels:
                raise GenkitError(f"no layer {name!r} has a style{suggest(name, self.style_channels)}")
        if missing := [name for name in self.style_channels if name not in styles]:
            raise GenkitError(f"the style of {missing[0]} is missing; change some of `styles(w)` and keep the others")
        if noise is not None and len(noise) != len(self.noise_sides):
            raise GenkitError(f"noise: one map for each of {len(self.noise_sides)} convolutions, got {len(noise)}")


def _once(style: Tensor) -> Tensor:
    """(1, C) of a style (B, C) that is one row seen B times, as of images that differ in their colours alone."""
    return style[:1] if style.stride(0) == 0 else style
