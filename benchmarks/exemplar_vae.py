"""VAEs with a standard normal, a Vamp and an exemplar prior: likelihood, neighbours, augmentation, pictures, cost.

    python -m benchmarks.exemplar_vae likelihood|knn|pictures|augment|cost|speed [--runs runs] [--out FOLDER]

Runs lie in <runs>/<data>-<arm>, of recipe <data>/<arm>; what is missing is trained. Prints Markdown tables. What was
measured is kept in <runs>/scores, so that a second call measures nothing again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import exemplar_cost, exemplar_pictures
from genkit.core.pretrained import Pretrained
from genkit.evaluation import accuracy, latent_knn, log_likelihood
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.vae.vae import VAE

DATA = ("fashion_mnist", "mnist")
ARMS = {"vae": "standard normal", "vamp_vae": "Vamp", "exemplar_vae": "exemplar"}
PAPER = {"fashion_mnist": (-228.70, -227.35, -226.75), "mnist": (-84.45, -82.43, -82.09)}
LIKELIHOOD = ["prior", "log p(x), nats", "paired gain", "better on", "-ELBO", "KL"]
LIKELIHOOD += ["effective samples, mean (lowest)", "CPU s an image", "paper, all 10,000"]
SAMPLES, NEIGHBOURS = 5000, (1, 5, 9, 15)
NEAREST, CHECKED = 4096, 6
"""Exemplars that are summed, and images for which all of them are, to see what is lost."""
CLASSIFIERS = {"real images alone": None, "+ digits VAE": "digits-exemplar_vae", "+ MNIST VAE": "mnist-exemplar_vae"}
"""Augmentation by a VAE trained on the same 4,000 digits, and by one trained on all 60,000 without their labels."""


def trained(runs: Path, name: str, recipe: str, overrides: list[str] | None = None) -> Path:
    """The run's folder; trained unless it has weights already."""
    folder = RunFolder(runs / name)
    if not (folder.weights / "config.json").is_file():
        train(Recipe.load(recipe, [*(overrides or []), "train.trackers=[]"]), folder.path, resume=True)
    return folder.path


def model(runs: Path, data: str, arm: str) -> VAE:
    return VAE.from_pretrained(trained(runs, f"{data}-{arm}", f"{data}/{arm}"))


def kept(path: Path, measure: Any) -> dict[str, Any]:
    """The result of `measure`, from its file if it was measured before."""
    if not path.is_file():
        start = time.process_time()
        found = measure()
        found["cpu_seconds"] = time.process_time() - start
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


def likelihood(runs: Path, chosen: list[str], n: int) -> None:
    """IWAE of the same binarised test images under the three priors, and paired differences to the first."""
    for data in chosen:
        found = {arm: scored(runs, data, arm, n, NEAREST if arm == "exemplar_vae" else 0) for arm in ARMS}
        print(f"\n{data}, {n} test images, IWAE-{SAMPLES}; {found['exemplar_vae']['bound']}\n")
        print(exemplar_cost.head(*LIKELIHOOD))
        base = torch.tensor(found["vae"]["nats_of_each"])
        for (arm, title), published in zip(ARMS.items(), PAPER[data], strict=True):
            print(likelihood_row(title, found[arm], base, published), flush=True)
        whole = scored(runs, data, "exemplar_vae", CHECKED, 0)["nats_of_each"]
        looser = [a - b for a, b in zip(whole, found["exemplar_vae"]["nats_of_each"], strict=False)]
        print(
            f"\nall exemplars, {CHECKED} images: more by {statistics.mean(looser):.1e} nats, at most {max(looser):.1e}"
        )


def scored(runs: Path, data: str, arm: str, n: int, nearest: int) -> dict[str, Any]:
    settings = {"samples": SAMPLES, **({"nearest": nearest} if nearest else {})}
    path = runs / "scores" / f"likelihood-{data}-{arm}-{n}{f'-{nearest}' if nearest else ''}.json"
    return kept(path, lambda: log_likelihood(model(runs, data, arm), f"{data}/test", n, **settings).to_json())


def likelihood_row(title: str, found: dict[str, Any], base: torch.Tensor, published: float) -> str:
    gain = torch.tensor(found["nats_of_each"]) - base
    error = gain.std().item() / math.sqrt(len(gain))
    paired = f"{gain.mean():.2f} ± {error:.2f} ({gain.mean() / error:.0f} SE)" if error else ""
    better = f"{100 * (gain > 0).float().mean():.0f} %" if error else ""
    values, spread = found["values"], found["spread"]["effective_sample_size"]
    cells = [
        title,
        f"{values['nats']:.2f} ± {found['standard_errors']['nats']:.2f}",
        paired,
        better,
        f"{-values['elbo']:.2f}",
        f"{values['kl']:.2f}",
        f"{spread['mean']:.0f} ({spread['min']:.1f})",
        f"{found['cpu_seconds'] / len(gain):.2f}",
        f"{published:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def knn(runs: Path, chosen: list[str]) -> None:
    """All of the test set by the latents of all of the training set."""
    print("| data | prior | " + " | ".join(f"k = {k}" for k in NEIGHBOURS) + " | active latents |\n" + "|---" * 7 + "|")
    for data in chosen:
        for arm, title in ARMS.items():
            path = runs / "scores" / f"knn-{data}-{arm}.json"
            found = kept(
                path,
                lambda a=arm, d=data: latent_knn(model(runs, d, a), f"{d}/train", f"{d}/test", NEIGHBOURS).to_json(),
            )
            shares = [
                f"{100 * found['values'][f'k={k}']:.2f} ± {100 * found['standard_errors'][f'k={k}']:.2f}"
                for k in NEIGHBOURS
            ]
            active = f"{found['active_latents']} of {found['latents']}"
            print("| " + " | ".join([data, title, *shares, active]) + " |", flush=True)


def augment(runs: Path, seeds: list[int]) -> None:
    """Test error of an MLP of 2 x 512 on the 10,000 MNIST test images, trained on 4,000 digits for 30 epochs."""
    digits = ["data.split=train"]
    trained(runs, "digits-exemplar_vae", "digits/exemplar_vae", [*digits, "evaluate=null"])
    errors: dict[str, list[float]] = {}
    for title, by in CLASSIFIERS.items():
        for seed in seeds:
            name = f"mlp-{by or 'plain'}-{seed}"
            small = [
                "data={type: digits, split: train}",
                "system.classifier.width=512",
                "train.steps=1200",
                "evaluate=null",
            ]
            small += [f"train.seed={seed}", "every.checkpoint=0"] + (
                [f"system.augment.vae.weights={runs / by}"] if by else []
            )
            recipe = "mnist/mlp_classifier" + ("_exemplar_augment" if by else "")
            found = kept(
                runs / "scores" / f"{name}.json", lambda a=(name, recipe, small): classified(trained(runs, *a))
            )
            errors.setdefault(title, []).append(100 * (1 - found["values"]["accuracy"]))
    print("| trained on | test error, % | by seed | gain, points |\n|---|---|---|---|")
    plain = errors["real images alone"]
    for title, values in errors.items():
        gains = [p - v for p, v in zip(plain, values, strict=True)]
        spread = statistics.stdev(values) if len(values) > 1 else 0
        by_seed = ", ".join(f"{v:.2f}" for v in values)
        print(f"| {title} | {statistics.mean(values):.2f} ± {spread:.2f} | {by_seed} | {statistics.mean(gains):.2f} |")


def classified(run: Path) -> dict[str, Any]:
    return accuracy(Pretrained.from_pretrained(run), Recipe.load("mnist/vae", ["data.split=test"]).build_data())  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["likelihood", "knn", "pictures", "augment", "cost", "speed"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("-n", type=int, default=200, help="test images of `likelihood`")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of `augment`")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what == "pictures":
        models = {data: {title: model(given.runs, data, arm) for arm, title in ARMS.items()} for data in given.data}
        exemplar_pictures.draw(models, given.out)
        exemplar_pictures.curves(given.runs, given.data, ARMS, given.out)
    elif given.what == "augment":
        augment(given.runs, given.seeds)
    elif given.what == "likelihood":
        likelihood(given.runs, given.data, given.n)
    elif given.what == "knn":
        knn(given.runs, given.data)
    elif given.what == "cost":
        exemplar_cost.cost(given.out)
    else:
        exemplar_cost.speed(model(given.runs, "fashion_mnist", "exemplar_vae"))


if __name__ == "__main__":
    main()
