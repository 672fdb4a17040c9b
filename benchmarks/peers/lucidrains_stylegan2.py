"""stylegan2-pytorch: its own Trainer, an iteration at a time; made to run without CUDA, which it asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from torch import Tensor

from benchmarks.peers.contestant import SIDE, Batches, Contestant, Images, count, in_parts, without

NEVER = 10**9


@contextmanager
def on_cpu() -> Iterator[None]:
    """It sends all to CUDA by `.cuda()` and refuses to be imported without: here these stay where they are."""
    with (
        patch("torch.Tensor.cuda", lambda x, *_, **__: x),
        patch("torch.nn.Module.cuda", lambda module, *_, **__: module),
    ):
        yield


class StyleGAN2(Contestant):
    """The defaults of its command line: hinge loss, penalty every 4 steps, batches of 5 accumulated 6 times.

    Samples are of the weights as they are, without truncation: its average is first begun at step 20,000.
    """

    def __init__(self, images: Images, own: bool):
        with without("aim"), patch("torch.cuda.is_available", lambda: True):
            import stylegan2_pytorch.stylegan2_pytorch as package

        capacity, batch, parts, rate = (16, 5, 6, 2e-4) if own else (4, 32, 1, 1e-3)
        self.about = f"32 pixels, capacity {capacity}, batch {batch} x {parts}, rate {rate:g}"
        self.package, self.folder = package, tempfile.TemporaryDirectory()
        with on_cpu():
            self.trainer = package.Trainer(
                base_dir=self.folder.name,
                image_size=SIDE,
                network_capacity=capacity,
                batch_size=batch,
                gradient_accumulate_every=parts,
                lr=rate,
                ttur_mult=1.5,
                save_every=NEVER,
                evaluate_every=NEVER,
            )
            self.trainer.init_GAN()
        self.trainer.loader = Batches(images.x, batch, padded=True, colour=True)
        self.trainer.save = self.trainer.evaluate = lambda *_: None
        gan, self.images = self.trainer.GAN, images
        self.parts = {"GAN": gan, "optimizer of G": gan.G_opt, "optimizer of D": gan.D_opt}

    @property
    def parameters(self) -> int:
        return count(self.trainer.GAN.G) + count(self.trainer.GAN.S)

    def step(self) -> None:
        self.trainer.steps = self.steps
        with on_cpu():
            self.trainer.train()
        self.steps += 1

    def sample(self, n: int) -> Tensor:
        gan, package = self.trainer.GAN.eval(), self.package

        def draw(k: int) -> Tensor:
            latents = package.noise_list(k, gan.G.num_layers, gan.G.latent_dim, device=0)
            styles = package.styles_def_to_tensor(package.latent_to_w(gan.S, latents))
            return self.images.like(gan.G(styles, package.image_noise(k, SIDE, device=0)))

        with on_cpu():
            return in_parts(n, 100, draw)


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    return StyleGAN2(images, settings == "own")
