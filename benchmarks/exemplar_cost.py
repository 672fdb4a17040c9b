"""Cost of the exemplar prior: per step against the number of exemplars, and beside materialised float64 distances."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genkit.core.catalog import build
from genkit.vae.bound import importance_weighted
from genkit.vae.log_mixture import LeaveOut, log_mixture
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining

BATCH, LATENT, EPOCH = 100, 40, 600
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
MATERIALISED = 100_000
"""Exemplars up to which the reference's way is measured: B x M numbers of float64 at a time, and several of them."""
IMAGES = 4
LOG_2PI = math.log(2 * math.pi)

Mixture = Callable[[Tensor, Tensor, Tensor, LeaveOut | None], Tensor]


def head(*titles: str) -> str:
    """The first two lines of a Markdown table."""
    return "| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|"


def blocked(z: Tensor, means: Tensor, log_variance: Tensor, leave_out: LeaveOut | None) -> Tensor:
    return log_mixture(z, means, log_variance, leave_out=leave_out)


def matrix(z: Tensor, means: Tensor, log_variance: Tensor, leave_out: LeaveOut | None) -> Tensor:
    """The arithmetic of the authors' evaluation: float64 distances of all pairs, |z|2 + |m|2 - 2 zm, then one sum."""
    z64, m64 = z.double(), means.double()
    distance = (z64**2).sum(1)[:, None] + (m64**2).sum(1)[None] - 2 * z64 @ m64.T
    return _mixture(distance.float(), means.shape[1], log_variance, leave_out)


def cube(z: Tensor, means: Tensor, log_variance: Tensor, leave_out: LeaveOut | None) -> Tensor:
    """The formula as it is written: B x M x D differences in float64."""
    distance = (z.double()[:, None] - means.double()).square().sum(2)
    return _mixture(distance.float(), means.shape[1], log_variance, leave_out)


def _mixture(distance: Tensor, dims: int, log_variance: Tensor, leave_out: LeaveOut | None) -> Tensor:
    scores = -0.5 * (dims * (log_variance + LOG_2PI) + distance / log_variance.exp())
    count = torch.full((len(scores),), float(scores.shape[1]))
    if leave_out is not None:
        own = leave_out.rows[:, None] == leave_out.items
        scores, count = scores.masked_fill(own, -math.inf), count - own.sum(1)
    top = scores.max(1, keepdim=True).values
    return top.squeeze(1) + (scores - top).exp().sum(1).log() - count.log()


WAYS: dict[str, Mixture] = {"blocked": blocked, "matrix": matrix, "cube": cube}


def simulated(way: str, exemplars: int) -> dict[str, float]:
    """CPU ms and peak MiB (above what was there before) of one mixture with gradients, on random latents."""
    import resource

    torch.set_num_threads(1)
    torch.manual_seed(0)
    means, rows = torch.randn(exemplars, LATENT), torch.arange(BATCH)
    z, log_variance = means[:BATCH] + 0.5 * torch.randn(BATCH, LATENT), torch.tensor([-1.0], requires_grad=True)
    means.requires_grad_()
    leave_out = LeaveOut(rows, torch.arange(exemplars))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(5 if exemplars <= 30_000 else 3):
        means.grad = None
        start = time.process_time()
        WAYS[way](z, means, log_variance, leave_out).sum().backward()
        times.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"ms": 1000 * sorted(times)[len(times) // 2], "mib": peak / 1024}


def apart(way: str, exemplars: int) -> dict[str, float]:
    """`simulated` in a process of its own, whose peak of memory is its own."""
    code = "import json, sys; from benchmarks.exemplar_cost import simulated as s; "
    code += "print(json.dumps(s(sys.argv[1], int(sys.argv[2]))))"
    ran = subprocess.run([sys.executable, "-c", code, way, str(exemplars)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def cost(out: Path) -> None:
    """The mixture alone, forward and backward, batch 100, 40 latents; a table and exemplar-cost.png."""
    found: dict[str, dict[int, dict[str, float]]] = {way: {} for way in WAYS}
    print(head("exemplars", "blocked, CPU ms", "MiB", "B x M, CPU ms", "MiB", "B x M x D, CPU ms", "MiB"))
    for size in SIZES:
        for way in WAYS:
            if way == "blocked" or size <= (MATERIALISED if way == "matrix" else MATERIALISED // 3):
                found[way][size] = apart(way, size)
        cells = [f"{found[w][size][k]:.0f}" if size in found[w] else "" for w in WAYS for k in ("ms", "mib")]
        print(f"| {size:,} | " + " | ".join(cells) + " |", flush=True)
    _draw(found, out / "exemplar-cost.png")


def _draw(found: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
    titles = {"blocked": "genkit, blocked", "matrix": "float64, B x M", "cube": "float64, B x M x D"}
    for axis, key, label in zip(
        axes, ("ms", "mib"), ("CPU ms, with gradients", "peak memory above start, MiB"), strict=True
    ):
        for way, points in found.items():
            axis.loglog(list(points), [max(p[key], 0.1) for p in points.values()], "o-", ms=4, label=titles[way])
        axis.set(xlabel="exemplars", ylabel=label)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def speed(vae: VAE) -> None:
    """An epoch of training, and IWAE-5000 of one image, both ways in turns on the same machine and weights."""
    data = build({"type": "fashion_mnist", "split": "train"}, kind="data")
    titles = "exemplars a step", "way", "CPU s a step", "CPU min of 600 steps", "mixture, CPU ms"
    print(head(*titles, "off by, nats (relative)"))
    for exemplars in (25_000, 50_000):
        epoch(vae, data, exemplars)
    iwae(vae, data, 50_000)


def epoch(vae: VAE, data: Any, exemplars: int) -> None:
    """One row a way: whole steps, that is encoding everything, the bound and all gradients."""
    torch.manual_seed(0)
    index, items = torch.arange(BATCH), torch.randint(len(data), (exemplars,))
    values = vae.likelihood.values(data.rows(items))
    x = (torch.rand(BATCH, 1, 28, 28) < vae.likelihood.values(data.rows(index))).float()
    noise, rows = [torch.randn(BATCH, LATENT)], {}
    with torch.no_grad():
        means = vae.network.posterior(values).mean
        z = vae.network.posterior(x).at(noise[0])
    leave_out, variance = LeaveOut(index, items), vae.latent_prior.log_variance
    for name, way in WAYS.items():
        mixture = timed(lambda w=way: _with_gradients(w, z, means, variance, leave_out), 2)
        whole = timed(lambda w=way: _step(vae, w, x, noise, values, leave_out), 2)
        with torch.no_grad():
            rows[name] = way(z, means, variance, leave_out)
        off = (rows[name] - rows["blocked"]).abs()
        relative = (off / rows["blocked"].abs()).max()
        cells = [f"{exemplars:,}", name, f"{whole:.2f}", f"{whole * EPOCH / 60:.1f}", f"{1000 * mixture:.0f}"]
        print("| " + " | ".join(cells) + f" | {off.max():.1e} ({relative:.0e}) |", flush=True)
    for kind, arguments in (("retrieved", {"size": exemplars}), ("frozen", {})):
        whole = chosen_step(vae, data, kind, arguments)
        print(f"| {exemplars:,} | {kind} | {whole:.2f} | {whole * EPOCH / 60:.1f} | | another estimator |", flush=True)


def timed(function: Callable[[], object], times: int) -> float:
    """CPU seconds, the lowest of some calls."""
    found = []
    for _ in range(times):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return min(found)


def _with_gradients(way: Mixture, z: Tensor, means: Tensor, log_variance: Tensor, leave_out: LeaveOut) -> None:
    z, means = z.clone().requires_grad_(), means.clone().requires_grad_()
    way(z, means, log_variance, leave_out).sum().backward()


def _step(vae: VAE, way: Mixture, x: Tensor, noise: list[Tensor], values: Tensor, leave_out: LeaveOut) -> None:
    vae.zero_grad()
    means = vae.network.posterior(values).mean
    bound = vae.bound(x, noise, lambda z: way(z, means, vae.latent_prior.log_variance, leave_out))  # type: ignore[arg-type]
    (-bound.log_weight.mean()).backward()


def chosen_step(vae: VAE, data: Any, kind: str, arguments: dict[str, object]) -> float:
    """CPU seconds of a step with a cache of latents, the cache's own upkeep shared over an epoch."""
    from genkit.training.stream import Stream

    exemplars = build({"type": f"{kind}_exemplars", "period": EPOCH, **arguments}, kind="vae")
    system = VAETraining(vae, exemplars=exemplars)
    system.setup(data)
    stream = Stream(data, BATCH, seed=0)

    def iterate(step: int) -> None:
        stream.begin(step)
        (update,) = system.iteration(stream, step)
        vae.zero_grad()
        sum(term for term in update.loss(**update.on, **update.shared).values() if term.requires_grad).backward()

    with_upkeep = timed(lambda: iterate(0), 1)
    step = timed(lambda: iterate(1), 3)
    return step + (with_upkeep - step) / EPOCH


def iwae(vae: VAE, data: Any, exemplars: int, samples: int = 5000) -> None:
    """The importance-weighted bound of single test images, decoding and all, from the same noise."""
    vae.exemplars.replace(data.x[:exemplars])
    test = build({"type": "fashion_mnist", "split": "test"}, kind="data")
    print(f"\nIWAE-{samples} of one image, {exemplars:,} exemplars\n")
    print(
        head("image", "reference, CPU s", "blocked, CPU s", "ratio", "off by, nats", "nearest 2,048, CPU s", "lower by")
    )
    for i in range(IMAGES):
        rng = torch.Generator().manual_seed(i)
        x = (torch.rand(1, 1, 28, 28, generator=rng) < vae.likelihood.values(test.rows(torch.tensor([i])))).float()
        noise = torch.randn(1, samples, LATENT, generator=rng)
        ways = (
            lambda x=x, noise=noise: reference_bound(vae, x, noise[0]),
            lambda x=x, noise=noise: importance_weighted(vae.importance_bound(x, [noise])).nats.item(),
            lambda x=x, noise=noise: importance_weighted(vae.importance_bound(x, [noise], nearest=2048)).nats.item(),
        )
        with torch.no_grad():
            (a, s), (b, t), (c, u) = (measured(way) for way in ways)
        print(f"| {i} | {s:.1f} | {t:.2f} | {s / t:.1f} | {abs(a - b):.1e} | {u:.2f} | {b - c:.1e} |", flush=True)


def measured(way: Callable[[], float]) -> tuple[float, float]:
    """The result of a call, and its CPU seconds."""
    start = time.process_time()
    return way(), time.process_time() - start


def reference_bound(vae: VAE, x: Tensor, noise: Tensor) -> float:
    """All samples (S, D) of one image at once, with the whole matrix of float64 distances."""
    q = vae.network.posterior(x)
    z = q.mean + (q.log_variance / 2).exp() * noise
    prior = matrix(z, vae.exemplars.means, vae.latent_prior.log_variance, None)  # type: ignore[arg-type]
    pixels = vae.likelihood.log_prob(x.expand(len(z), -1, -1, -1), vae.network.decode(z))
    return (pixels + prior - q.log_density(z)).logsumexp(0).item() - math.log(len(z))
