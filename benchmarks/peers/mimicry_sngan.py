"""torch-mimicry: SNGAN of 32 colour pixels by the train_step of its own networks, in the order of its Trainer."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from benchmarks.peers.contestant import Batches, Contestant, Images, count, in_parts, without

LENGTH = 100_000
"""Steps over which its example lets the rates fall to 0."""


class SNGAN(Contestant):
    """Hinge loss, spectral norm, five critic steps a generator step, Adam (0, 0.9): its README's example."""

    def __init__(self, images: Images, own: bool):
        importlib.import_module("torch.utils.tensorboard")  # which would look into the hollow tensorflow

        with without("tensorflow", "skimage", "lmdb", "torch._six"):
            from torch_mimicry.nets.sngan import SNGANDiscriminator32, SNGANGenerator32
            from torch_mimicry.training.metric_log import MetricLog
            from torch_mimicry.training.scheduler import LRScheduler

        (ngf, ndf), batch, rate = ((256, 128), 64, 2e-4) if own else ((24, 24), 32, 1e-3)
        self.about = f"SNGANGenerator32({ngf}), SNGANDiscriminator32({ndf}), batch {batch}, rate {rate:g}, 5 : 1"
        self.generator, self.critic, self.log = SNGANGenerator32(ngf=ngf), SNGANDiscriminator32(ndf=ndf), MetricLog
        self.of_generator = torch.optim.Adam(self.generator.parameters(), rate, betas=(0.0, 0.9))
        self.of_critic = torch.optim.Adam(self.critic.parameters(), rate, betas=(0.0, 0.9))
        self.rates = LRScheduler("linear", self.of_critic, self.of_generator, num_steps=LENGTH)
        self.parts = {
            "generator": self.generator,
            "critic": self.critic,
            "optimizer of generator": self.of_generator,
            "optimizer of critic": self.of_critic,
        }
        self.batches, self.images = Batches(images.x, batch, padded=True, colour=True), images

    @property
    def parameters(self) -> int:
        return count(self.generator)

    def step(self) -> None:
        self.generator.train()
        log, shared = self.log(), {"global_step": self.steps, "device": torch.device("cpu")}
        for _ in range(5):
            real = next(self.batches) * 2 - 1, torch.zeros(self.batches.size)
            log = self.critic.train_step(real, netG=self.generator, optD=self.of_critic, log_data=log, **shared)
        log = self.generator.train_step(real, netD=self.critic, optG=self.of_generator, log_data=log, **shared)
        self.steps += 1
        self.rates.step(log_data=log, global_step=self.steps)

    def sample(self, n: int) -> Tensor:
        self.generator.eval()
        return in_parts(n, 100, lambda k: self.images.like(self.generator.generate_images(k) / 2 + 0.5))


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    return SNGAN(images, settings == "own")
