"""The decoder of the VAEBM authors' recorded chains: NVAE's (Vahdat & Kautz 2020), with a Gaussian for each pixel.

A function of their tensors, in eval mode: what a user's own decoder would offer, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.vae.energy.decoder import Drawn, log_normal

LOG_2PI = 1.8378770664093453


def soft(a: Tensor) -> Tensor:
    return 5 * (a / 5).tanh()


class PublishedDecoder:
    """Their `vae`, by its tensors; latents are the noise of all groups, top first."""

    sample_shape = (3, 32, 32)

    def __init__(self, state: Mapping[str, Tensor], shapes: list[tuple[int, ...]]):
        self.state, self.shapes = state, shapes

    def latents(self, randomness):
        return tuple(randomness.normal(*shape) for shape in self.shapes)

    def draw(self, latents, noise) -> Drawn:
        _, log_prior, logits = self.ancestral(latents)
        means, raw = logits.chunk(2, 1)
        x, log_likelihood = gaussian_pixels(means, raw, noise)
        return Drawn(x, soft(means) / 2 + 0.5, sum(map(log_normal, latents)), log_prior, log_likelihood)

    def ancestral(self, latents) -> tuple[list[Tensor], Tensor, Tensor]:
        """z of all groups, log p(z) (n,), and what their last layer says of pixels (n, 6, H, W)."""
        top = torch.zeros_like(latents[0])
        z, log_p = [], torch.zeros(len(top))
        h = self.tensor("prior_ftr0").expand(len(top), -1, -1, -1)
        group = lambda raw, eps: self._group(*raw.chunk(2, 1), eps)  # noqa: E731
        if len(latents) == 1:
            part, density = self._group(top, top, latents[0])
            logits = self._pixels(self.conv("stem_decoder", part))
            return [part], density, logits
        for cell in sorted({int(k.split(".")[1]) for k in self.state if k.startswith("dec_tower.")}):
            name = f"dec_tower.{cell}"
            if f"{name}.conv.weight" not in self.state:
                h = self.cell(name, h)
                continue
            raw = self.conv(f"dec_sampler.{len(z) - 1}.1", F.elu(h)) if z else torch.cat([top, top], 1)
            part, density = group(raw, latents[len(z)])
            h, log_p = self.conv(f"{name}.conv", torch.cat([h, part], 1)), log_p + density
            z.append(part)
        return z, log_p, self._pixels(h)

    @staticmethod
    def _group(raw_mean, raw_scale, eps):
        mean, sigma = soft(raw_mean), soft(raw_scale).exp() + 0.01
        z = mean + sigma * eps
        density = -0.5 * ((z - mean) / sigma).square() - 0.5 * LOG_2PI - sigma.log()
        return z, density.flatten(1).sum(1)

    def _pixels(self, h):
        for cell in range(len({k.split(".")[1] for k in self.state if k.startswith("post_process.")})):
            h = self.cell(f"post_process.{cell}", h)
        return self.conv("image_conditional.1", F.elu(h))

    # Their layers

    def tensor(self, name):
        return self.state[name]

    def conv(self, name, x, groups=1):
        w, g, bias = (self.state.get(f"{name}.{part}") for part in ("weight", "log_weight_norm", "bias"))
        if g is not None:
            w = g.exp() * w / (w.square().sum((1, 2, 3), keepdim=True).sqrt() + 1e-5)
        return F.conv2d(x, w, bias, padding=w.shape[-1] // 2, groups=groups)

    def norm(self, name, x):
        told = (self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *told, eps=1e-5)

    def cell(self, name, x):
        """x + 0.1 SE(expand, depthwise 5x5, project); one that starts at `.1` doubles the image before."""
        ops = f"{name}._ops.0.conv"
        first = 0 if f"{ops}.0.bn.weight" in self.state else 1
        h = F.interpolate(x, scale_factor=2.0, mode="nearest") if first else x
        h = self.norm(f"{ops}.{first}.bn", h)
        for i in (first + 1, first + 2):
            layer = f"{ops}.{i}.conv"
            h = self.conv(f"{layer}.0", h, groups=1 if i == first + 1 else h.shape[1])
            h = F.silu(self.norm(f"{layer}.1", h))
        h = self.norm(f"{ops}.{first + 4}.bn", self.conv(f"{ops}.{first + 3}", h))
        h = h * self.gate(f"{name}.se.se", h.mean((2, 3)))[:, :, None, None]
        if first:
            x = self.conv(f"{name}.skip.1", F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True))
        return x + 0.1 * h

    def gate(self, name, pooled):
        linear = lambda i, h: F.linear(h, self.state[f"{name}.{i}.weight"], self.state[f"{name}.{i}.bias"])  # noqa: E731
        return linear(2, linear(0, pooled).relu()).sigmoid()


def gaussian_pixels(means: Tensor, raw: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """x in [0, 1], and the log-density that their chains take for it, (n,), which has a floor under its width."""
    mean = soft(means)
    at = (mean + (soft(raw).exp() + 0.01) * noise).clamp(-1, 1)
    x = at / 2 + 0.5
    width = soft(raw).clamp(min=-2).exp() + 0.01
    density = -0.5 * ((2 * x - 1 - mean) / width).square() - 0.5 * LOG_2PI - width.log()
    return x, density.flatten(1).sum(1)
