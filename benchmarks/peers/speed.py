"""Training steps of equal networks, genkit's and another package's in turns: how many times as fast genkit is.

The rows beside diffusers' example are those of `benchmarks.diffusion_speed`, whose parts are used here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.diffusion_speed import HEAD, SIZE, in_turns, noise, ours, theirs
from benchmarks.peers.contestant import Batches, Images
from genkit.data.dataset import DataSet
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from genkit.vae.latent_priors import StandardNormal, VampPrior
from genkit.vae.networks.gated_vae import GatedVAENetwork
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining

BATCHES, SMALL, OF_VAE = (8, 16, 64), 8, 100
COMPONENTS, LATENT, WIDTH = 500, 40, 300
Step = Callable[[], object]


class Borrowed(nn.Module):
    """diffusers' UNet as denoising-diffusion-pytorch calls a model."""

    self_condition = False

    def __init__(self, config: dict[str, object]):
        from diffusers import UNet2DModel

        super().__init__()
        self.unet, self.channels, self.out_dim = UNet2DModel.from_config(config), 3, 3

    def forward(self, x: Tensor, t: Tensor, _: None = None) -> Tensor:
        return self.unet(x, t).sample  # type: ignore[no-any-return]


def lucidrains(batch: int, data: DataSet, config: dict[str, object]) -> Step:
    """The loop of denoising-diffusion-pytorch around an equal network."""
    from denoising_diffusion_pytorch import GaussianDiffusion
    from ema_pytorch import EMA

    model = GaussianDiffusion(Borrowed(config), image_size=SIZE)
    optimizer, average = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.99)), EMA(model, update_every=10)
    batches = Batches(data.x, batch)

    def step() -> None:
        model(next(batches)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()

    return step


def vae(vamp: bool, images: Tensor) -> Step:
    prior = VampPrior(COMPONENTS) if vamp else StandardNormal()
    system = VAETraining(VAE(GatedVAENetwork(28, 1, LATENT, WIDTH), prior=prior))
    return Trainer(system, Stream(DataSet("noise", images), OF_VAE, seed=0), {"vae": Adam(lr=1e-3)}, steps=1000).iterate


def pythae(vamp: bool, images: Tensor) -> Step:
    """pythae's model, batches and optimiser around genkit's encoder and decoder; the likelihood is Bernoulli."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    from benchmarks.peers.pythae_vae import Pythae

    network = GatedVAENetwork(28, 1, LATENT, WIDTH)

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.part, self.latent = network.encoder, network.latent

        def forward(self, x: Tensor) -> Any:
            found = self.latent(self.part(x.reshape(-1, 1, 28, 28)))
            return ModelOutput(embedding=found.mean, log_covariance=found.log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.part, self.mean = network.decoder, network.mean

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.mean(self.part(z)).sigmoid().unflatten(1, (1, 28, 28)))

    return Pythae(Images(images, {}), False, vamp, Encoder(), Decoder(), LATENT).step


def compare(rounds: int) -> None:
    """Prints a table a package; one that is not installed is skipped with a line."""
    torch.manual_seed(0)
    data = noise()
    print(HEAD.format("diffusers"))
    for batch in BATCHES:
        step, _, generator = ours(batch, data)
        in_turns(f"step of {batch}", step, theirs(batch, data, dict(generator.network.unet.config))[0], rounds)
    try:
        step, _, generator = ours(SMALL, data)
        other = lucidrains(SMALL, data, dict(generator.network.unet.config))
        print(HEAD.format("denoising-diffusion-pytorch"))
        in_turns(f"step of {SMALL}, diffusers' UNet2DModel in both", step, other, rounds)
        images = torch.randint(256, (6000, 1, 28, 28), dtype=torch.uint8)
        print(HEAD.format("pythae"))
        for vamp in (False, True):
            name = f"{'VampPrior' if vamp else 'VAE'}, step of {OF_VAE}"
            in_turns(name, vae(vamp, images), pythae(vamp, images), rounds, 20)
    except ImportError as missing:
        print(f"skipped: {missing.name} is not installed")
