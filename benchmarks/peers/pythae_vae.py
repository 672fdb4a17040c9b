"""pythae: VAE and VAMP by the batches, optimiser and samplers of its own BaseTrainer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from benchmarks.peers.contestant import Contestant, Images, count, in_parts


class Pythae(Contestant):
    """Its MLPs of 512 units, squared error; Adam. The latent's width has no default: 10 is that of its README."""

    def __init__(
        self, images: Images, own: bool, vamp: bool, encoder: Any = None, decoder: Any = None, latent: int | None = None
    ):
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAMP, VAEConfig, VAMPConfig
        from pythae.samplers import NormalSampler, VAMPSampler
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        logging.getLogger("pythae").setLevel(logging.WARNING)
        batch, rate, width = (64, 1e-4, 10) if own else (100, 1e-3, 64)
        components = {"number_components": 50 if own else 500} if vamp else {}
        config = (VAMPConfig if vamp else VAEConfig)(
            input_dim=tuple(images.x.shape[1:]), latent_dim=latent or width, **components
        )
        self.about = f"{'VAMP' if vamp else 'VAE'} of {config.latent_dim} latents, batch {batch}, rate {rate:g}"
        self.about += f", {config.number_components} components" if vamp else ""
        if encoder is not None:
            config.reconstruction_loss = "bce"
        self.model = (VAMP if vamp else VAE)(config, encoder, decoder)
        data = BaseDataset(images.x.float() / 255, images.x.new_zeros(len(images.x)))
        asked = BaseTrainerConfig(per_device_train_batch_size=batch, learning_rate=rate, no_cuda=True)
        self.trainer = BaseTrainer(self.model, data, training_config=asked)
        self.trainer.set_optimizer()
        self.sampler = (VAMPSampler if vamp else NormalSampler)(self.model)
        self.parts = {"model": self.model, "optimizer": self.trainer.optimizer}
        self.batches, self.images = self._endless(), images

    @property
    def parameters(self) -> int:
        return count(self.model.decoder)

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self.trainer.train_loader

    def step(self) -> None:
        self.model.train()
        batch = self.trainer._set_inputs_to_device(next(self.batches))
        self.trainer._optimizers_step(self.model(batch, epoch=1, dataset_size=len(self.images.x), uses_ddp=False))
        self.steps += 1

    def sample(self, n: int) -> Tensor:
        self.model.eval()
        return in_parts(n, n, lambda k: self.images.like(self.sampler.sample(num_samples=k)))


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    return Pythae(images, settings == "own", vamp=False)


def vamp(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    return Pythae(images, settings == "own", vamp=True)
