"""A Langevin step beside a plain autograd loop, and what the samples of a VAEBM cost.

    python -m benchmarks.langevin_speed step  [--rounds 5] [--width 64]
    python -m benchmarks.langevin_speed cost  RUN [-n 200]

`step`: the VAE of recipes/fashion_mnist/vaebm and its energy at --width, random weights, batches of 32; one process,
one thread, each round every arm in turn, the median of rounds. The plain loop is written as the authors' is: weight
norms computed in every pass, pools after convolutions, log p(z) and log p(x | z) in every step, the gradient of the
mean times the batch. `cost`: seconds for each 1,000 samples of a trained run by number of steps, and the shares of the
energy, forward and back, of the VAE, forward, and of all else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.catalog import build
from genkit.core.randomness import Noise
from genkit.vae.energy.decoder import noisy_decoder
from genkit.vae.energy.energy_network import EnergyNetwork
from genkit.vae.energy.langevin import Langevin, fresh
from genkit.vae.energy.vaebm import VAEBM

BATCH, STEPS, SIZE = 32, 4, 1e-2
NETWORK = {"type": "vae_network", "size": 28, "latent_dim": 32, "width": 400, "scaled": True}
DECODER = {"type": "vae", "network": NETWORK, "likelihood": {"type": "gaussian"}}


def plain_energy(network: EnergyNetwork, x: Tensor) -> Tensor:
    """As the authors' code computes it: convolve, add, then pool."""

    def conv(layer: Any, h: Tensor) -> Tensor:
        norm = layer.v.square().sum((1, 2, 3), keepdim=True).sqrt()
        return F.conv2d(h, layer.log_norm.exp() * layer.v / (norm + 1e-5), layer.bias, padding=layer.v.shape[2] // 2)

    def swish(h: Tensor) -> Tensor:
        return h * torch.sigmoid(h) / 1.1

    h = swish(conv(network.stem, x))
    for block in network.blocks:
        skip = h if isinstance(block.skip, torch.nn.Identity) else conv(block.skip, h)
        h = conv(block.conv2, swish(conv(block.conv1, h))) + skip
        h = swish(F.avg_pool2d(h, 2) if block.conv2.pooled else h)
    return network.head(h.sum((2, 3))).squeeze(1)  # type: ignore[no-any-return]


def plain_chain(network: EnergyNetwork, decoder: Any, latents: Tensor, noise: Tensor) -> Tensor:
    for _ in range(STEPS):
        latents, noise = latents.detach().requires_grad_(), noise.detach().requires_grad_()
        drawn = decoder.draw((latents,), noise)
        u = plain_energy(network, drawn.x) - drawn.log_prior - drawn.log_likelihood
        by_z, by_x = (found * len(u) for found in torch.autograd.grad(u.mean(), (latents, noise)))
        latents = latents - SIZE / 2 * by_z + SIZE**0.5 * torch.randn_like(latents)
        noise = noise - SIZE / 2 * by_x + SIZE**0.5 * torch.randn_like(noise)
    return latents


def step(rounds: int, width: int) -> None:
    torch.manual_seed(0)
    decoder = noisy_decoder(build(DECODER).eval().requires_grad_(False))
    network = EnergyNetwork("mnist", 28, 1, width).requires_grad_(False)
    start = fresh(decoder, Noise(BATCH))
    network.start(decoder.draw(*start).x)
    fast = EnergyNetwork("mnist", 28, 1, width).requires_grad_(False).to(memory_format=torch.channels_last)
    fast.load_state_dict(network.state_dict())
    torch.testing.assert_close(plain_energy(network, decoder.draw(*start).x), fast(decoder.draw(*start).x))
    arms: dict[str, Callable[[], Any]] = {
        "plain loop": lambda: plain_chain(network, decoder, start[0][0], start[1]),
        "genkit, published": lambda: Langevin(STEPS, SIZE, "published").refine(fast, decoder, start, Noise(BATCH)),
        "genkit, exact": lambda: Langevin(STEPS, SIZE).refine(fast, decoder, start, Noise(BATCH)),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds + 1):
        for name, work in arms.items():
            begun = time.process_time()
            work()
            times[name].append(time.process_time() - begun)
    medians = {name: statistics.median(found[1:]) / STEPS * 1000 for name, found in times.items()}
    print("| | CPU ms a step | plain / this |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.1f} | {medians['plain loop'] / value:.2f} |")


def cost(run: str, n: int) -> None:
    vaebm = VAEBM.from_pretrained(run)
    size = vaebm.langevin.step_size if vaebm.langevin else SIZE
    print("| steps | CPU s for 1,000 samples | energy, both passes | VAE, forward | all else |\n|---|---|---|---|---|")
    for steps in (0, 5, 10, 16, 32):
        vaebm.langevin = Langevin(steps, size) if steps else None
        with timed(vaebm.energy) as energy, timed(vaebm.decoder.network) as decoder:
            begun = time.process_time()
            vaebm.sample(n, rng=torch.Generator().manual_seed(0))
            whole = time.process_time() - begun
        shares = [energy[0] / whole, decoder[0] / whole]
        cells = " | ".join(f"{share:.0%}" for share in (*shares, 1 - sum(shares)))
        print(f"| {steps} | {1000 / n * whole:.1f} | {cells} |")


@contextmanager
def timed(module: Any) -> Any:
    """CPU seconds spent inside calls of `module`, and in its backward pass where its input has a gradient."""
    spent, begun = [0.0], [0.0]

    def start(_: Tensor) -> None:
        begun[0] = time.process_time()

    def stop(_: Tensor) -> None:
        spent[0] += time.process_time() - begun[0]

    name = "decode" if hasattr(module, "decode") else "forward"
    honest = getattr(module, name)

    def call(*arguments: Any, **named: Any) -> Any:
        x = arguments[0]
        start(x)
        made = honest(*arguments, **named)
        stop(x)
        if isinstance(made, Tensor) and x.requires_grad:
            made.register_hook(start)
            x.register_hook(stop)
        return made

    setattr(module, name, call)
    try:
        yield spent
    finally:
        setattr(module, name, honest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "cost"])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("-n", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    step(given.rounds, given.width) if given.what == "step" else cost(given.run, given.n)


if __name__ == "__main__":
    main()
