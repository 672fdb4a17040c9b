"""AttFind's search beside a naive loop: one pass for each image, coordinate and direction, at batch 1.

    python -m benchmarks.attfind_speed [--rounds 5] [--passes 40] [--images 1] [--size 32]

The StyleGAN2 of a 32-pixel StyleEx on a CPU: 416 coordinates, random weights; a classifier of three convolutions, its
batch norms in eval mode. One process, one thread, CPU seconds; each round all arms in turn, --passes of the naive loop
and the whole search of --images, and the median of rounds. The naive loop does as the authors' notebook: styles of w,
one of them changed, the whole synthesis, the classifier; "synthesis alone" is given the styles. Effects of both are
compared first.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genkit.explain.effects import ROWS, find_effects
from genkit.explain.encoded import Encoded
from genkit.gan.styleex.styleex import StyleEx
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator

W, CLASSES = 64, 2
DENSE = ("aten::addmm", "aten::mm")
WIDTHS = {32: (48, 48, 32, 16), 64: (48, 48, 32, 32, 16)}


def conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class Looked(nn.Sequential):
    """A classifier of three convolutions."""

    def __init__(self, sample_shape: tuple[int, ...]):
        last = nn.Linear(64, CLASSES)
        nn.init.normal_(last.weight, std=100.0)  # effects of the size of real ones
        head = (nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48 * 16, 64), nn.ReLU(), last)
        super().__init__(conv(3, 12), conv(12, 24), conv(24, 48), *head)
        self.sample_shape, self.classes = sample_shape, CLASSES


def made(size: int) -> StyleEx:
    """A StyleEx of random weights."""
    maps: Any = {"size": size, "widths": WIDTHS[size], "style_dim": W}
    network = StyleGAN2Generator(W, depth=1, mixing=0, appended=CLASSES, **maps)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.1)
    return StyleEx(network, StyleGAN2Encoder(**maps), Looked(network.sample_shape)).eval()


@torch.no_grad()
def naive(encoded: Encoded, passes: int, whole: bool = True) -> Tensor:
    """Effects (passes, K) on image 0 of coordinates spread over all, each towards its largest value."""
    generator, high = encoded.generator, encoded.flat.amax(0)
    joined, found = generator.of_images(encoded.x[:1]), list[Tensor]()
    given = generator.styles_of(joined)
    for s in torch.linspace(0, encoded.coordinates.count - 1, passes).long().tolist():
        styles = dict(generator.styles_of(joined) if whole else given)
        layer, channel = encoded.coordinates.place(s)
        styles[layer] = styles[layer].clone()
        styles[layer][:, channel] = high[s]
        found.append(generator.logits(generator.pictured_styles(styles)) - encoded.logits[:1])
    return torch.cat(found)


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def in_convolutions(work: Callable[[], object]) -> float:
    """Share of the CPU time of `work` that convolutions and matrix products take."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    times = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    return sum(t for name, t in times.items() if "conv" in name or name in DENSE) / sum(times.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--size", type=int, default=32, choices=WIDTHS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = made(given.size)
    x = torch.rand(max(given.images, 4), *generator.sample_shape) * 2 - 1
    encoded = Encoded(generator, x)
    count = encoded.coordinates.count
    index = torch.linspace(0, count - 1, given.passes).long()
    effect = find_effects(encoded, rows=given.rows).effect[0, 1, index]
    worst = (effect - naive(encoded, given.passes)).abs().max().item()
    few = Encoded(generator, x[: given.images])
    total = 2 * count * given.images
    arms: dict[str, tuple[Callable[[], object], int]] = {
        "naive loop": (lambda: naive(encoded, given.passes), given.passes),
        "naive loop, synthesis alone": (lambda: naive(encoded, given.passes, whole=False), given.passes),
        "genkit": (lambda: find_effects(few, rows=given.rows), total),
    }
    times = [{name: seconds(work) / n * 1000 for name, (work, n) in arms.items()} for _ in range(given.rounds + 1)][1:]
    print(f"{count} coordinates; effects differ by at most {worst:.1e}, of up to {effect.abs().max():.2g}\n")
    print("| | CPU ms a pass | this / genkit (lowest to highest of rounds) |\n|---|---|---|")
    for name in arms:
        ratios = sorted(round_[name] / round_["genkit"] for round_ in times)
        told = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        print(f"| {name} | {statistics.median(round_[name] for round_ in times):.3f} | {told} |")
    share = statistics.median(in_convolutions(arms["genkit"][0]) for _ in range(given.rounds))
    most = statistics.median(round_["naive loop"] / round_["genkit"] for round_ in times) / share
    print(f"\nconvolutions are {share:.0%} of genkit's time: with nothing else the first ratio would be {most:.1f}")


if __name__ == "__main__":
    main()
