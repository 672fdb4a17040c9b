"""The CPU time of an iteration of training by kind of operation, and the rate of its arithmetic.

    python -m benchmarks.step_shares [RECIPE[:STAGE] ...] [--iterations 16] [--operations]

Shares are of the time in torch's operations, by torch.profiler, of iterations of the recipe's own trainer. The rate is
all products and convolutions over the whole time, without the profiler; beside it stands the best that a convolution
reaches here alone: 3x3, 64 to 64 channels, channels last, forward and both gradients.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch.profiler import ProfilerActivity, profile

from genkit.cli.memory import keep_memory
from genkit.training.cost import Arithmetic
from genkit.training.preparation import prepare
from genkit.training.staged import in_turn, load_recipe
from genkit.training.trainer import Trainer

RECIPES = ["fashion_mnist/ddpm", "fashion_mnist/wgan_gp", "fashion_mnist/rejection:gan", "fashion_mnist/vae"]
RECIPES += ["shapes/gan_control:gan"]
KINDS = {
    "convolutions": ("conv",),
    "products": ("mm", "addmm", "bmm", "baddbmm", "scaled_dot", "flash_attention", "linear"),
    "norms": ("norm", "_ChannelsLast", "var"),
    "activations": ("relu", "silu", "sigmoid", "tanh", "gelu", "softplus", "softmax"),
    "sums": ("sum", "mean"),
    "copies": ("copy", "cat", "clone", "index", "stack", "gather", "contiguous", "fill", "zero"),
    "noise": ("normal", "uniform", "random", "randint", "philox"),
    "optimiser": ("_fused", "_foreach"),
}

REST = "element by element"


def trainer_of(name: str) -> Trainer:
    path, _, wanted = name.partition(":")
    made: dict[str, object] = {}
    for stage, training in in_turn(load_recipe(path), made):
        trainer = prepare(training, Accelerator(cpu=True))[1]
        made[stage] = dict(trainer.system.products)
        if stage == wanted:
            return trainer
    raise SystemExit(f"{name}: no such stage")


def kind_of(operation: str) -> str:
    plain = operation.removeprefix("aten::")
    return next((k for k, words in KINDS.items() if any(word in plain for word in words)), REST)


def best_rate() -> float:
    """GFLOP/s of a convolution with its gradients, the best of some maps."""
    best = 0.0
    for side in (8, 14, 28):
        x = torch.randn(64, 64, side, side).to(memory_format=torch.channels_last).requires_grad_()
        w = torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
        for _ in range(8):
            start = time.process_time()
            y = F.conv2d(x, w, padding=1)
            y.backward(y.detach())
            best = max(best, 3 * 2 * 9 * 64 * 64 * 64 * side**2 / (time.process_time() - start) / 1e9)
    return best


def shares(trainer: Trainer, iterations: int) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the kinds and of the operations."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(iterations):
            trainer.iterate()
    operations = Counter({e.key: e.self_cpu_time_total for e in seen.key_averages() if e.key.startswith("aten::")})
    whole = sum(operations.values())
    kinds = dict.fromkeys([*KINDS, REST], 0.0)
    for name, spent in operations.items():
        kinds[kind_of(name)] += spent / whole
    return kinds, {name: spent / whole for name, spent in operations.most_common(10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE[:STAGE]")
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--operations", action="store_true", help="also the ten slowest operations")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    best = best_rate()
    print(f"best convolution: {best:.0f} GFLOP/s\n")
    kinds = [*KINDS, REST]
    print(f"| recipe | ms | GFLOP/s | share of the best | {' | '.join(kinds)} |\n|{'---|' * (4 + len(kinds))}")
    for name in given.recipes or RECIPES:
        trainer = trainer_of(name)
        trainer.iterate()
        with Arithmetic() as counted:
            for _ in range(given.iterations):
                trainer.iterate()
        trainer.step = 0
        start = time.process_time()
        for _ in range(given.iterations):
            trainer.iterate()
        taken = (time.process_time() - start) / given.iterations
        rate = counted.flop / given.iterations / taken / 1e9
        trainer.step = 0
        by_kind, by_operation = shares(trainer, given.iterations)
        columns = " | ".join(f"{by_kind[kind]:.2f}" for kind in kinds)
        print(f"| {name} | {1e3 * taken:.0f} | {rate:.0f} | {rate / best:.2f} | {columns} |", flush=True)
        if given.operations:
            for operation, share in by_operation.items():
                print(f"    {operation} {share:.3f}")


if __name__ == "__main__":
    main()
