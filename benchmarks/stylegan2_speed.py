"""StyleGAN2 at 32 pixels beside a reference-style path in pure PyTorch, of one size, in turns.

    python -m benchmarks.stylegan2_speed [--rounds 3] [--batch 32] [--widths 64,64,64,32]
    python -m benchmarks.stylegan2_speed --package 8 [--rounds 3] [--batch 32]

The reference computes as the public ports do without their CUDA operators: resampling by padding, zeros between pixels
and a one-channel convolution on the full grid, of which what is not kept is dropped; modulation by kernels of each
sample's own, in one of as many groups as samples. It has the very weights of the network it stands beside, and
must give the same images. An iteration is a critic and a generator step with R1 in every 16th and path lengths in every
4th, on half of a batch, as its parts are timed: D + R1 / 16 + G + PL / 4. Prints CPU milliseconds (medians) and ratios.

--package: beside the networks of stylegan2-pytorch of this capacity (`pip install --no-deps stylegan2-pytorch`),
genkit's with as many maps at each size. They are not the same networks: theirs resamples bilinearly, and has a
convolution more in each block of its critic and another after it. Losses are each one's own; both have the penalty in
every 16th and path lengths in every 4th iteration. Gigaflops stand beside the forward passes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.contestant import without
from benchmarks.peers.lucidrains_stylegan2 import on_cpu
from genkit.cli.memory import keep_memory
from genkit.core.randomness import Noise
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import R1
from genkit.gan.objectives import NonSaturating
from genkit.gan.slots import Turn
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.equalised import GAIN, EqualisedConv2d, activated
from genkit.gan.stylegan2.fir import FIR
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.modulated import StyledConv, ToRGB
from genkit.gan.stylegan2.path_length import PathLength
from genkit.training.cost import Arithmetic

STYLE_DIM, DEPTH = 64, 4
LOSSES = ("D", "R1", "G", "PL")


def upfirdn(x: Tensor, kernel: Tensor, up: int, down: int, before: int, after: int) -> Tensor:
    """Zeros between pixels, padding, the filter everywhere, every `down`th of the results."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h, 1, w, 1)
    x = F.pad(x, [0, up - 1, 0, 0, 0, up - 1]).reshape(b, c, h * up, w * up)
    x = F.pad(x, [before, after, before, after]).reshape(b * c, 1, h * up + before + after, w * up + before + after)
    x = F.conv2d(x, kernel.flip(0, 1)[None, None])
    return x.reshape(b, c, x.shape[2], x.shape[3])[:, :, ::down, ::down]


class ReferenceFIR(FIR):
    def smooth(self, x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
        return upfirdn(x, self.kernel * gain, 1, 1, padding, padding)

    def down(self, x: Tensor) -> Tensor:
        return upfirdn(x, self.kernel, 1, 2, 1, 1)

    def up(self, x: Tensor) -> Tensor:
        return upfirdn(x, self.kernel * 4, 2, 1, 2, 1)


def own_kernels(weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """(B, O, I, k, k)."""
    made = weight[None] * style[:, None, :, None, None]
    return made * (made.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt() if demodulate else made


class ReferenceStyledConv(StyledConv):
    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        b, _, h, w = x.shape
        kernels = own_kernels(self.weight * self.gain, style, demodulate=True)
        x = x.reshape(1, -1, h, w)
        if self.fir is None:
            y = F.conv2d(x, kernels.flatten(0, 1), padding=1, groups=b)
        else:
            y = F.conv_transpose2d(x, kernels.transpose(1, 2).flatten(0, 1), stride=2, groups=b)
        y = y.reshape(b, -1, *y.shape[2:])
        y = y if self.fir is None else self.fir.smooth(y, 1, gain=4.0)
        drawn = self.noise[None, None] if noise is None else noise
        return activated(y + drawn * self.noise_strength + self.bias[:, None, None]) * GAIN


class ReferenceToRGB(ToRGB):
    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        b, _, h, w = x.shape
        kernels = own_kernels(self.weight * self.gain, style, demodulate=False)
        y = F.conv2d(x.reshape(1, -1, h, w), kernels.flatten(0, 1), groups=b)
        return y.reshape(b, -1, h, w) + self.bias[:, None, None]


class ReferenceConv2d(EqualisedConv2d):
    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight_gain if self.bias is None else self.weight_gain / self.bias_gain
        y = F.conv2d(x, self.weight * scale, None, self.stride, self.padding)
        return y if self.bias is None else activated(y + self.bias[:, None, None]) * self.bias_gain


REFERENCE: dict[type[nn.Module], type[nn.Module]] = {
    FIR: ReferenceFIR,
    StyledConv: ReferenceStyledConv,
    ToRGB: ReferenceToRGB,
    EqualisedConv2d: ReferenceConv2d,
}


def game(widths: list[int], of_critic: list[int]) -> GANTraining:
    torch.manual_seed(0)
    generator = GAN(StyleGAN2Generator(STYLE_DIM, style_dim=STYLE_DIM, depth=DEPTH, size=32, widths=widths))
    return GANTraining(generator, StyleGAN2Critic(size=32, widths=of_critic), objective=NonSaturating()).train()


@contextmanager
def learning(module: nn.Module, other: nn.Module) -> Iterator[None]:
    other.requires_grad_(False)
    yield
    other.requires_grad_(True)


def parts(system: GANTraining, batch: int) -> dict[str, Callable[[], object]]:
    """The timed parts: a forward pass, and forward and backward of every loss."""
    rng = torch.Generator().manual_seed(0)
    z = system.generator.network.latents(Noise(batch, rng))
    x, u = torch.randn(batch, 3, 32, 32, generator=rng), torch.rand(batch, generator=rng)
    r1, paths = R1(0.3), PathLength()
    generator, critic = system.generator, system.critic

    def of(module: nn.Module, loss: Callable[[], Any]) -> Callable[[], object]:
        def step() -> None:
            with learning(module, critic if module is generator else generator):
                found = loss()
                (sum(found.values()) if isinstance(found, dict) else found).backward()
            module.zero_grad()

        return step

    return {
        "forward G": torch.no_grad()(lambda: generator(z)),
        "forward D": torch.no_grad()(lambda: critic(x)),
        "D": of(critic, lambda: system.critic_loss(x, {}, z, u)),
        "R1": of(critic, lambda: r1(Turn(system, "critic", x, {}, z, u))),
        "G": of(generator, lambda: system.rule.loss(system, x, {}, z)),  # type: ignore[operator]
        "PL": of(generator, lambda: paths(Turn(system, "generator", x, {}, z))),
    }


def package(capacity: int) -> nn.Module:
    """The networks of stylegan2-pytorch: `S` and `G`, and `D`."""
    with without("aim"), patch("torch.cuda.is_available", lambda: True):
        from stylegan2_pytorch.stylegan2_pytorch import StyleGAN2
    torch.manual_seed(0)
    with on_cpu():
        return StyleGAN2(32, latent_dim=STYLE_DIM, style_depth=DEPTH, network_capacity=capacity).train()  # type: ignore[no-any-return]


def parts_of_package(gan: Any, batch: int) -> dict[str, Callable[[], object]]:
    """The parts as its Trainer.train has them, path lengths on half of a batch as genkit's."""
    from stylegan2_pytorch import stylegan2_pytorch as theirs

    rng = torch.Generator().manual_seed(0)
    z, x = torch.randn(batch, STYLE_DIM, generator=rng), torch.rand(batch, 3, 32, 32, generator=rng)

    def made(n: int) -> tuple[Tensor, Tensor]:
        styles = theirs.styles_def_to_tensor([(gan.S(z[:n]), gan.G.num_layers)])
        return styles, gan.G(styles, torch.rand(n, 32, 32, 1, generator=rng))

    def descended(loss: Tensor) -> None:
        loss.backward()
        gan.zero_grad()

    def critic() -> None:
        fake = made(batch)[1].detach()
        descended(theirs.hinge_loss(gan.D(fake)[0], gan.D(x)[0]))

    def penalty() -> None:
        real = x.clone().requires_grad_()
        descended(theirs.gradient_penalty(real, gan.D(real)[0]))

    def paths() -> None:
        descended(((theirs.calc_pl_lengths(*made(batch // 2)) - 1) ** 2).mean())

    return {
        "forward G": torch.no_grad()(lambda: made(batch)),
        "forward D": torch.no_grad()(lambda: gan.D(x)),
        "D": critic,
        "R1": penalty,
        "G": lambda: descended(gan.D(made(batch)[1])[0].mean()),
        "PL": paths,
    }


def gigaflops(work: Callable[[], object]) -> str:
    with Arithmetic() as counted:
        work()
    return f" ({counted.flop / 1e9:.1f})"


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(ways: dict[str, dict[str, Callable[[], object]]], rounds: int) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {way: {name: [] for name in work} for way, work in ways.items()}
    for round_ in range(rounds + 1):  # the first warms up
        for way, work in ways.items():
            for name, step in work.items():
                taken = seconds(step)
                if round_:
                    found[way][name].append(taken)
    for times in found.values():
        columns = zip(*(times[name] for name in LOSSES), strict=True)
        times["iteration"] = [d + r1 / 16 + g + pl / 4 for d, r1, g, pl in columns]
    return found


def beside_package(capacity: int, batch: int, rounds: int) -> None:
    theirs, ours = (
        package(capacity),
        game(*([capacity * k for k in widths] for widths in ((16, 8, 4, 2), (32, 16, 8, 4)))),
    )
    ours.to(memory_format=torch.channels_last)
    ways = {"theirs": parts_of_package(theirs, batch), "genkit": parts(ours, batch)}
    times = measured(ways, rounds)
    print(f"parameters: theirs {size(theirs.S) + size(theirs.G):,} and {size(theirs.D):,}, ", end="")
    print(f"genkit {size(ours.generator):,} and {size(ours.critic):,}; batch {batch}, one thread\n")
    print("| CPU ms (GFLOP) | theirs | genkit | ratio |\n|---|---|---|---|")
    for name, slow in times["theirs"].items():
        counts = [gigaflops(work[name]) if name.startswith("forward") else "" for work in ways.values()]
        cells = [
            f"{1e3 * statistics.median(times[way][name]):.0f}{count}" for way, count in zip(ways, counts, strict=True)
        ]
        ratio = statistics.median(a / b for a, b in zip(slow, times["genkit"][name], strict=True))
        print(f"| {name} | {' | '.join(cells)} | {ratio:.2f} |")


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--widths", default="64,64,64,32")
    parser.add_argument("--package", type=int, metavar="CAPACITY")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    if given.package:
        return beside_package(given.package, given.batch, given.rounds)
    widths = [int(width) for width in given.widths.split(",")]
    ours, reference = game(widths, widths), game(widths, widths)
    for module in reference.modules():
        module.__class__ = REFERENCE.get(type(module), type(module))
    z = ours.generator.network.latents(Noise(2, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(ours.generator(z), reference.generator(z), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.critic(torch.ones(2, 3, 32, 32)), reference.critic(torch.ones(2, 3, 32, 32)))
    ours.to(memory_format=torch.channels_last)
    times = measured({"reference": parts(reference, given.batch), "genkit": parts(ours, given.batch)}, given.rounds)
    counts = [size(part) for part in (ours.generator, ours.critic)]
    print(f"widths {given.widths}, G {counts[0]:,} and D {counts[1]:,} parameters, batch {given.batch}, one thread\n")
    print("| CPU ms | reference | genkit | ratio |\n|---|---|---|---|")
    for name, slow in times["reference"].items():
        quick = times["genkit"][name]
        ratio = statistics.median(a / b for a, b in zip(slow, quick, strict=True))
        print(f"| {name} | {1e3 * statistics.median(slow):.0f} | {1e3 * statistics.median(quick):.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
