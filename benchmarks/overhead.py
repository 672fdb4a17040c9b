"""Iterations per second of the trainer beside a plain hand-written loop of the same networks and losses.

    python -m benchmarks.overhead

Both sides run in turns in one process, so that a busy machine slows both; the figure is the median of the ratios of
neighbouring turns. Each turn is timed in CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from accelerate import Accelerator

from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe

TURNS, ITERATIONS = 12, 6
CASES = {
    "fashion_mnist/wgan_ratio_clipping": "28x28 DCGAN pair, batch 32, re-weighting and ratio clipping",
    "fashion_mnist/wgan_gp": "28x28 DCGAN pair, batch 32, gradient penalty",
    "points/wgan_gp": "MLP pair of width 100, batch 128, gradient penalty",
}


def plain_loop(recipe: Recipe) -> Callable[[], None]:
    """The same game, written out by hand on the recipe's own networks: no Updates, no stream, no log."""
    data, system = recipe.build_data(), recipe.build_system()
    generator, critic = system.generator.network, system.critic
    classifier = getattr(system.rule, "classifier", None)
    rates = recipe.build_optimizers()
    networks = {"generator": generator, "critic": critic, "classifier": classifier}
    if recipe.train.channels_last:
        system.to(memory_format=torch.channels_last)
    optimizers = {k: rates[k].over(list(networks[k].parameters())) for k in rates}
    size, latent, weight = recipe.train.batch_size, generator.latent_dim, system.penalties[0].weight
    weighted = type(system.fake_weighting).__name__ == "SoftmaxWeighting"

    def batch() -> torch.Tensor:
        return data.rows(torch.randint(len(data), (size,)))

    def freeze(**learning: bool) -> None:
        for name, network in networks.items():
            if network is not None:
                network.requires_grad_(learning.get(name, False))

    def step(name: str, loss: torch.Tensor) -> None:
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        if rates[name].clip_norm:
            torch.nn.utils.clip_grad_norm_(networks[name].parameters(), rates[name].clip_norm)
        optimizers[name].step()

    def critic_step() -> torch.Tensor:
        freeze(critic=True)
        x, z = batch(), torch.randn(size, latent)
        fake = generator(z).detach()
        s_real, s_fake = critic(x), critic(fake)
        w = size * s_fake.detach().softmax(0) if weighted else 1.0
        u = torch.rand(size, *[1] * (x.dim() - 1))
        x_hat = (u * x + (1 - u) * fake).requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(x_hat).sum(), x_hat, create_graph=True)
        penalty = weight * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        step("critic", (w * s_fake).mean() - s_real.mean() + penalty)
        return z

    def plain_ascent() -> None:
        freeze(generator=True)
        step("generator", -critic(generator(torch.randn(size, latent))).mean())

    def clipped_steps(z: torch.Tensor) -> None:
        freeze()
        logit_old = classifier(generator(z))
        for _ in range(system.rule.steps):
            freeze(classifier=True)
            real, fake = classifier(batch()), classifier(generator(torch.randn(size, latent)))
            step("classifier", torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean())
            freeze(generator=True)
            fake = generator(z)
            score, ratio = critic(fake), (logit_old - classifier(fake)).exp()
            reward = score - score.detach().mean()
            free, clipped = ratio * reward, ratio.clamp(1 - system.rule.clip, 1 + system.rule.clip) * reward
            step(
                "generator", -torch.where(reward > 0, torch.minimum(free, clipped), torch.maximum(free, clipped)).mean()
            )

    def iteration() -> None:
        for _ in range(system.critic_steps):
            z = critic_step()
        if classifier is not None:
            clipped_steps(z)
        else:
            for _ in range(system.rule.steps):
                plain_ascent()

    return iteration


def measure(name: str) -> tuple[float, float, float]:
    """(CPU ms an iteration of the trainer, of the plain loop, median ratio of neighbours)."""
    recipe = Recipe.load(name)
    _, trainer = prepare(recipe, Accelerator(cpu=True))
    plain = plain_loop(recipe)
    ours, theirs = [], []
    for turn in range(TURNS + 1):
        for function, times in (
            ((trainer.iterate, ours), (plain, theirs)) if turn % 2 else ((plain, theirs), (trainer.iterate, ours))
        ):
            start = time.process_time()
            for _ in range(ITERATIONS):
                function()
            times.append((time.process_time() - start) / ITERATIONS * 1000)
    ours, theirs = ours[1:], theirs[1:]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ours), statistics.median(theirs), statistics.median(ratios)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    print("| recipe | trainer, ms | plain loop, ms | ratio |\n|---|---|---|---|")
    for name, what in CASES.items():
        ours, theirs, ratio = measure(name)
        print(f"| {name} ({what}) | {ours:.1f} | {theirs:.1f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
