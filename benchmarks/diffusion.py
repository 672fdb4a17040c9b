"""Effect of solvers, guidance and losses of a diffusion model, on Fashion-MNIST.

    python -m benchmarks.diffusion solvers  WEIGHTS [-n 500] [--evaluations 10 25 50]
    python -m benchmarks.diffusion guidance WEIGHTS --classifier NOISY [-n 500]
    python -m benchmarks.diffusion bits [--out runs/bench] [key=value ...]
    python -m benchmarks.diffusion variances WEIGHTS [-n 24]
    python -m benchmarks.diffusion gradients WEIGHTS

WEIGHTS is a run of recipes/fashion_mnist/ddpm, NOISY one of recipes/fashion_mnist/noisy_classifier. Samples are scored
against the test set in features of the shipped fashion-mnist-classifier, which guides nothing. `bits` trains its three
arms itself. Every command prints a Markdown table; pictures go to --out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from genkit.classifiers.conv_classifier import Classifier
from genkit.data.torchvision_sets import fashion_mnist
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.diffusion.losses import BoundLoss
from genkit.diffusion.multistep import DPMSolver, UniPC
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.solvers import DDIM, Ancestral, Solver
from genkit.diffusion.step_choice import SecondMoment
from genkit.evaluation import evaluate
from genkit.images.grid import grid
from genkit.images.pixels import from_uint8, to_uint8, write_png
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

SOLVERS: dict[str, Callable[[int], Solver]] = {
    "ancestral, learned variance": lambda n: Ancestral(str(n)),
    "ancestral, fixed small": lambda n: Ancestral(str(n), "fixed_small"),
    "ancestral, fixed large": lambda n: Ancestral(str(n), "fixed_large"),
    "DDIM": lambda n: DDIM(f"ddim{n}"),
    "DPM-Solver++": lambda n: DPMSolver(n),
    "UniPC": lambda n: UniPC(n),
}
SCALES = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0)
ARMS = {
    "simple": ["system.generator.process.variance=fixed_large", "system.generator.network.variance=false"],
    "hybrid": [],
    "bound": ["system.loss.type=bound", "system.steps.type=second_moment"],
}
JUDGE = "fashion-mnist-classifier"


def samples(generator: DiffusionGenerator, n: int, labels: bool = True) -> tuple[Tensor, Tensor]:
    """n samples, 8-bit and back, of evenly many of each class, and their labels."""
    label = torch.arange(n) % 10
    condition = {"label": label} if labels and "label" in generator.conditions else None
    stream = generator.stream(n, 100, condition=condition, rng=torch.Generator().manual_seed(0))
    return from_uint8(to_uint8(torch.cat(list(stream)))), label


def scored(x: Tensor, label: Tensor) -> dict[str, float]:
    """FD, KD, precision and recall against the test set, and how often the judge sees the label asked for."""
    data = {"type": "fashion_mnist", "split": "test"}
    scores = evaluate(to_uint8(x), data, metrics=["fd", "kd", "pr"], n=len(x), extractor=JUDGE)
    judge = Classifier.from_pretrained(JUDGE)
    with torch.no_grad():
        right = torch.cat([judge(part).argmax(1) for part in x.split(250)]) == label
    return {**{name: scores[name] for name in scores}, "accuracy": right.float().mean().item()}


def solvers(given: argparse.Namespace) -> None:
    generator = DDPM.from_pretrained(given.weights)
    print("| solver | evaluations | FD | KD x 1000 | precision | recall | accuracy | CPU ms a sample |")
    print("|---|---|---|---|---|---|---|---|")
    for evaluations in given.evaluations:
        for name, make in SOLVERS.items():
            if given.only and not any(part in name for part in given.only):
                continue
            generator.solver = make(evaluations)
            start = time.process_time()
            x, label = samples(generator, given.n)
            ms = 1000 * (time.process_time() - start) / given.n
            print(f"| {name} | {evaluations} | {cells(scored(x, label))} | {ms:.0f} |", flush=True)
            picture(x, given.out / f"solver-{name.split(',')[-1].strip().replace(' ', '_')}-{evaluations}.png")


def cells(s: dict[str, float]) -> str:
    return (
        f"{s['fd']:.2f} | {1000 * s['kd']:.2f} | {s['precision']:.3f} | {s['recall']:.3f} | {100 * s['accuracy']:.1f} %"
    )


def guidance(given: argparse.Namespace) -> None:
    model, classifier = DDPM.from_pretrained(given.weights), NoisyClassifier.from_pretrained(given.classifier)
    model.solver = Ancestral(str(given.evaluations[0]))
    print(f"{given.evaluations[0]} ancestral steps, {given.n} samples")
    print("| model | scale | FD | KD x 1000 | precision | recall | accuracy |\n|---|---|---|---|---|---|---|")
    for name, base in {"unconditional": ClassifierFreeGuided(model, 0), "conditional": model}.items():
        for scale in SCALES:
            x, label = samples(ClassifierGuided(base, classifier, scale), given.n)
            print(f"| {name}, classifier | {scale:g} | {cells(scored(x, label))} |", flush=True)
            picture(x, given.out / f"guided-{name}-{scale:g}.png")
    for scale in (2.0, 4.0):
        x, label = samples(ClassifierFreeGuided(model, scale), given.n)
        print(f"| conditional, classifier-free | {scale:g} | {cells(scored(x, label))} |", flush=True)
        picture(x, given.out / f"guided-free-{scale:g}.png")


def picture(x: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, grid(x[:80], 10))


def bits(given: argparse.Namespace) -> None:
    """Bits per dimension of three losses after equal training."""
    images, label = test_images(given.n)
    print("| trained on | 25 steps | 100 steps | all 1,000 |\n|---|---|---|---|")
    models = {arm: trained(arm, given) for arm in ARMS}
    for arm, model in models.items():
        found = [bits_per_dimension(model, images, label, steps).mean().item() for steps in ("25", "100", "")]
        print(f"| {arm} | " + " | ".join(f"{value:.3f}" for value in found) + " |", flush=True)


def variances(given: argparse.Namespace) -> None:
    """Bits per dimension of three variances around the means of one network, on the same images with the same noise."""
    model, (images, label) = DDPM.from_pretrained(given.weights), test_images(given.n)
    print("| steps | learned | fixed small | fixed large | learned better than both on |\n|---|---|---|---|---|")
    for steps in ("10", "25", "50", "100"):
        found = {}
        for variance in ("learned_range", "fixed_small", "fixed_large"):
            other = DDPM(model.network, model.process.with_settings(variance=variance))
            found[variance] = bits_per_dimension(other, images, label, steps)
        learned, small, large = found.values()
        wins = int((learned < torch.minimum(small, large)).sum())
        means = " | ".join(f"{values.mean():.2f}" for values in found.values())
        print(f"| {steps} | {means} | {wins} of {len(learned)} images |", flush=True)


def test_images(n: int) -> tuple[Tensor, Tensor]:
    data = fashion_mnist("test")
    index = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:n]
    assert data.labels is not None
    return data.rows(index), data.labels[index]


def bits_per_dimension(model: DDPM, x: Tensor, label: Tensor, steps: str) -> Tensor:
    """(B,) bits per dimension; the same noise for every model."""
    found = model.log_likelihood(x, condition={"label": label}, rng=torch.Generator().manual_seed(0), steps=steps)
    return -found.nats / (torch.log(torch.tensor(2.0)) * x[0].numel())


def trained(arm: str, given: argparse.Namespace) -> DDPM:
    extra = ["train.trackers=[]", "every.grid=0", "evaluate=null", "system.label_dropout=0", *ARMS[arm]]
    recipe = Recipe.load("fashion_mnist/ddpm", [*extra, "train.steps=600", "train.batch_size=32", *given.overrides])
    folder = RunFolder(given.out / f"bits-{arm}")
    if not folder.finished(recipe):
        train(recipe, folder.path, resume=True)
    return DDPM.from_pretrained(folder.weights)


def gradients(given: argparse.Namespace) -> None:
    """E|gradient|^2 of the bound under uniform, second-moment and optimal choice of steps, for one fixed network."""
    model = DDPM.from_pretrained(given.weights).requires_grad_(True)
    process = model.process
    x, label = test_images(8)
    steps = torch.linspace(0, len(process) - 1, 60).round().long().unique()
    losses, norms = (torch.stack(values) for values in zip(*measured(model, x, label, steps), strict=True))
    squares = (losses**2).mean(1).sqrt()
    choices = {"uniform": torch.ones(len(steps)), "second moment of losses": squares, "optimal": norms.mean(1).sqrt()}
    start = norms.mean(1).sum() / len(steps)
    print("| choice of steps | E of squared gradient norm | less than uniform |\n|---|---|---|")
    for name, weight in choices.items():
        p = weight / weight.sum()
        moment = (norms.mean(1) / (len(steps) ** 2 * p)).sum()
        print(f"| {name} | {moment:.4g} | {start / moment:.1f} times |")
    warm_up(len(process))


def measured(model: DDPM, x: Tensor, label: Tensor, steps: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Losses and squared gradient norms of the bound, one an image, at every step."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for i in steps:
        at, rows = i.repeat(1), []
        for k in range(len(x)):
            model.zero_grad()
            x_t = model.process.noised(x[k : k + 1], at, noise[k : k + 1])
            output = model.output(x_t, model.process.timesteps[at], label[k : k + 1])
            loss = BoundLoss()(model.process, output, x[k : k + 1], noise[k : k + 1], at)["bound"].mean()
            loss.backward()
            square = sum((p.grad**2).sum() for p in model.parameters() if p.grad is not None)
            rows.append((loss.detach(), torch.as_tensor(square)))
        yield torch.stack([loss for loss, _ in rows]), torch.stack([square for _, square in rows])


def warm_up(steps: int) -> None:
    """Samples until importance sampling starts, of the authors' rule and of shared histories."""
    print("| histories | samples until it starts |\n|---|---|")
    for groups in (0, 50):
        choice = SecondMoment(groups=groups)
        choice.setup(steps)
        rng, count = torch.Generator().manual_seed(0), 0
        while bool((choice.seen < choice.history).any()):
            choice.learn(torch.randint(steps, (64,), generator=rng), torch.ones(64))
            count += 64
        print(f"| {groups or 'one a step'} | {count:,} |")


COMMANDS = {"solvers": solvers, "guidance": guidance, "bits": bits, "variances": variances, "gradients": gradients}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("weights", nargs="?")
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--classifier")
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--evaluations", nargs="+", type=int, default=[10, 25, 50])
    parser.add_argument("--only", nargs="+", help="solvers whose name contains one of these")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    COMMANDS[given.what](given)


if __name__ == "__main__":
    main()
