"""denoising-diffusion-pytorch: its Unet, GaussianDiffusion and the loop of its Trainer, fed from memory."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.peers.contestant import SIDE, Batches, Contestant, Images, count, in_parts
from benchmarks.peers.settings import EVALUATIONS

OURS = 32, (1, 2), 28, 16, 1e-3


class GaussianDiffusion(Contestant):
    """Adam (0.9, 0.99), gradients clipped at 1, an average of 0.995 every 10 steps, as in its Trainer."""

    def __init__(self, images: Images, own: bool):
        import denoising_diffusion_pytorch as package
        from ema_pytorch import EMA

        package.denoising_diffusion_pytorch.tqdm = lambda steps, **_: steps
        dim, mults, size, batch, rate = (64, (1, 2, 4, 8), SIDE, 16, 1e-4) if own else OURS
        self.about = f"Unet({dim}, {mults}), {size} pixels, batch {batch}, rate {rate:g}" + ", mirrored" * own
        unet = package.Unet(dim=dim, dim_mults=mults, channels=images.channels)
        self.model = package.GaussianDiffusion(unet, image_size=size, sampling_timesteps=EVALUATIONS)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=rate, betas=(0.9, 0.99))
        self.average = EMA(self.model, beta=0.995, update_every=10)
        self.parts = {"model": self.model, "optimizer": self.optimizer, "average": self.average}
        self.batches, self.mirrored, self.images = Batches(images.x, batch, padded=size == SIDE), own, images

    @property
    def parameters(self) -> int:
        return count(self.model)

    def step(self) -> None:
        self.model.train()
        x = next(self.batches)
        if self.mirrored:
            x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x)
        self.model(x).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        self.steps += 1

    def sample(self, n: int) -> Tensor:
        model = self.average.ema_model.eval()
        return in_parts(n, 250, lambda k: self.images.like(model.sample(batch_size=k)))


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    return GaussianDiffusion(images, settings == "own")
