"""diffusers' example train_unconditional.py, its loop restated from its parts and fed from memory."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers.contestant import MARGIN, SIDE, Batches, Contestant, Images, count, in_parts
from benchmarks.peers.settings import EVALUATIONS

OWN = {
    "layers_per_block": 2,
    "block_out_channels": (128, 128, 256, 256, 512, 512),
    "down_block_types": (*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4),
}
OURS = {
    "layers_per_block": 1,
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 8,
    "attention_head_dim": 32,
}
EPOCHS, BATCH = 100, 16
TIMED = 8


class UnconditionalExample(Contestant):
    """AdamW (0.95, 0.999), weight decay 1e-6, cosine schedule after a warm-up, clipping at 1, EMAModel up to 0.9999.

    By genkit's settings it samples by DPM-Solver++ as genkit does, by its own as its example does.
    """

    def __init__(self, images: Images, own: bool, length: int):
        from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        rate, warmup = (1e-4, 500) if own else (1e-3, 50)
        plan, size, channels = (OWN, SIDE, images.channels) if own else (OURS, images.size, images.channels)
        self.unet = UNet2DModel(**plan, sample_size=size, in_channels=channels, out_channels=channels)
        self.about = (
            f"UNet2DModel{self.unet.config.block_out_channels}, {self.unet.config.sample_size} pixels, "
            f"batch {BATCH}, rate {rate:g}, cosine over {length:,} steps"
        )
        self.noise = DDPMScheduler(num_train_timesteps=1000)
        self.solver = self.noise if own else DPMSolverMultistepScheduler.from_config(self.noise.config)
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), lr=rate, betas=(0.95, 0.999), weight_decay=1e-6)
        self.rate = get_scheduler("cosine", self.optimizer, num_warmup_steps=warmup, num_training_steps=length)
        self.average = EMAModel(self.unet.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
        self.parts = {"unet": self.unet, "optimizer": self.optimizer, "rate": self.rate, "average": self.average}
        self.batches, self.length, self.images = Batches(images.x, BATCH, padded=own), length, images

    @property
    def parameters(self) -> int:
        return count(self.unet)

    @property
    def done(self) -> bool:
        return self.steps >= self.length

    def step(self) -> None:
        self.unet.train()
        x = next(self.batches) * 2 - 1
        noise, t = torch.randn(x.shape), torch.randint(0, 1000, (len(x),))
        F.mse_loss(self.unet(self.noise.add_noise(x, noise, t), t).sample, noise).backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.rate.step()
        self.optimizer.zero_grad()
        self.average.step(self.unet.parameters())
        self.steps += 1

    def sample(self, n: int) -> Tensor:
        from diffusers import DDPMPipeline

        pipeline = DDPMPipeline(self.unet.eval(), self.solver)
        pipeline.set_progress_bar_config(disable=True)

        def draw(k: int) -> Tensor:
            made = pipeline(batch_size=k, num_inference_steps=EVALUATIONS, output_type="np").images
            return self.images.like(torch.from_numpy(made).movedim(-1, 1))

        self.average.store(self.unet.parameters())
        self.average.copy_to(self.unet.parameters())
        try:
            return in_parts(n, 250, draw)
        finally:
            self.average.restore(self.unet.parameters())


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    if settings == "own":
        return UnconditionalExample(images, True, EPOCHS * (len(images.x) // BATCH))
    trial = UnconditionalExample(images, False, 1000)
    trial.step()
    start = time.process_time()
    for _ in range(TIMED):
        trial.step()
    spent = time.process_time() - start
    torch.manual_seed(seed)
    made = UnconditionalExample(images, False, int(MARGIN * seconds * TIMED / spent))
    made.spent = spent
    return made
