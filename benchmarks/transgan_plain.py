"""TransGAN's pair and game written out plainly, with attention maps in memory, as the authors' code has them.

Nothing of genkit's layers or trainer is used; `state_dict` keys are genkit's, so that weights can be taken over.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d) with a dense mask) V, every map kept."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.project = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        maps = q @ k.transpose(-2, -1) * self.scale
        if mask is not None:
            maps = maps.masked_fill(mask == 0, -1e9)
        return self.project((maps.softmax(dim=-1) @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask)
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))


class Stage(nn.Module):
    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, mask if i == len(self.blocks) - 1 else None)
        return x


class Generator(nn.Module):
    """z -> images by pixel shuffles. `reach` makes the dense mask of the last block."""

    def __init__(self, latent_dim: int, size: int, channels: int, width: int, depths: list[int], heads: int = 4):
        super().__init__()
        self.low = size // 2 ** (len(depths) - 1)
        widths, sides = [width // 4**i for i in range(len(depths))], [self.low * 2**i for i in range(len(depths))]
        self.stem = nn.Linear(latent_dim, width * self.low**2)
        self.positions = nn.ParameterList(torch.zeros(1, s * s, w) for s, w in zip(sides, widths, strict=True))
        self.stages = nn.ModuleList(Stage(w, d, heads) for w, d in zip(widths, depths, strict=True))
        self.to_images = nn.ModuleList([nn.Conv2d(widths[-1], channels, 1)])
        self.size, self.reach = size, 0

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(len(z), self.low**2, -1)
        for i, (stage, position) in enumerate(zip(self.stages, self.positions, strict=True)):
            if i:
                side = int(x.shape[1] ** 0.5)
                x = F.pixel_shuffle(x.permute(0, 2, 1).view(len(x), -1, side, side), 2).flatten(2).permute(0, 2, 1)
            x = stage(x + position, self.mask(x) if self.reach and i == len(self.stages) - 1 else None)
        return self.to_images[0](x.permute(0, 2, 1).view(len(x), -1, self.size, self.size))

    def mask(self, x: Tensor) -> Tensor:
        index = torch.arange(x.shape[1])
        return ((index[:, None] - index).abs() <= self.reach).float()


class Critic(nn.Module):
    def __init__(self, size: int, channels: int, patch: int, width: int, depth: int, heads: int = 4):
        super().__init__()
        self.to_tokens = nn.Conv2d(channels, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.to_tokens(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0]).flatten()


class Game:
    """The authors' loop: Wasserstein with gradient penalty and score drift, Adam, clipped gradients, averaged weights.

    Nothing is frozen there: fakes carry a graph that nobody uses, and the generator's step fills the critic's
    gradients too. `frugal` freezes who does not learn, which leaves the attention alone to differ from genkit.
    """

    def __init__(self, generator: Generator, critic: Critic, augment: Any, *, frugal: bool, lr: float = 2e-4):
        self.generator, self.critic, self.augment, self.frugal = generator, critic, augment, frugal
        self.optimizers = [torch.optim.Adam(net.parameters(), lr, betas=(0.0, 0.99)) for net in (generator, critic)]
        self.averaged = [p.detach().clone() for p in generator.parameters()]

    def judge(self, x: Tensor) -> Tensor:
        return self.critic(self.augment(x))

    def learn(self, critic: bool) -> None:
        if self.frugal:
            self.critic.requires_grad_(critic)
            self.generator.requires_grad_(not critic)

    def step(self, which: int, net: nn.Module, loss: Tensor) -> None:
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        self.optimizers[which].step()

    def made(self, n: int) -> Tensor:
        return self.generator(torch.randn(n, self.generator.stem.in_features))

    def critic_loss(self, x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
        real_score, fake_score, u = self.judge(x), self.judge(fake), u.view(-1, 1, 1, 1)
        between = (u * x + (1 - u) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.judge(between).sum(), between, create_graph=True)
        penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean() + 1e-3 * real_score.mean().square()
        return fake_score.mean() - real_score.mean() + penalty

    def critic_step(self, x: Tensor) -> None:
        self.learn(True)
        self.optimizers[1].zero_grad()
        self.step(1, self.critic, self.critic_loss(x, self.made(len(x)).detach(), torch.rand(len(x))))

    def generator_step(self, batch: int) -> None:
        self.learn(False)
        self.optimizers[0].zero_grad()
        self.step(0, self.generator, -self.judge(self.made(batch)).mean())
        for kept, p in zip(self.averaged, self.generator.parameters(), strict=True):
            kept.mul_(0.995).add_(p.detach(), alpha=0.005)

    def iterate(self, batches: list[Tensor]) -> None:
        for x in batches:
            self.critic_step(x)
        self.generator_step(len(batches[0]))
