"""Products of a system: the first one is pictured and scored as it says itself, the others are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.table import register
from genkit.evaluation import judges
from genkit.evaluation.judges import judge_of
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.mlp import MLPCritic
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.show import draw_samples
from genkit.vae.vae import VAE
from tests.contracts.specs import SYSTEM_CASES, make_trainer
from tests.plugins import untouched_table
from tests.training.tiny import adapted, by_example, points

NAMES = {
    "gan_training": ["generator", "critic"],
    "ddpm_training": ["generator"],
    "vae_training": ["generator"],
    "vaebm_training": ["generator"],
    "classifier_training": ["classifier"],
    "noisy_classifier_training": ["classifier"],
    "domain_adaptation": ["classifier", "critic"],
    "attribute_training": ["predictor"],
    "control_training": ["controlled"],
    "styleex_training": ["generator", "critic"],
    "keep_training": ["rejection"],
    "directions_training": ["directions", "reconstructor"],
}


@pytest.mark.parametrize("case", SYSTEM_CASES.values(), ids=SYSTEM_CASES.keys())
def test_names(case: Any) -> None:
    system = make_trainer(case).system
    names = NAMES[case.spec["type"]]
    assert list(system.products) == (names if getattr(system, "critic", True) is not None else names[:1])
    assert system.product is next(iter(system.products.values()))
    assert all(isinstance(product, Pretrained) for product in system.products.values())


@pytest.mark.parametrize(
    ("products", "message"),
    [
        ({}, "needs names with what is left, got {}"),
        ([1], r"needs names with what is left, got \[1\]"),
        ({"generator": torch.nn.Linear(2, 2)}, r"generator is a Linear, which cannot be saved; .*Pretrained"),
        ({"generator": MLPCritic(2, 4, 1), "../critic": MLPCritic(2, 4, 1)}, r"'\.\./critic' names a folder"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_training(products: Any, message: str, tmp_path: Path) -> None:
    class Leaving(GANTraining):
        @property
        def products(self) -> Any:
            return products

    with untouched_table():
        register("systems", "leaving", "tests.training.test_products:LEAVING")
        globals()["LEAVING"] = Leaving
        tree = points(4).to_dict()
        with pytest.raises(RecipeError, match=f"products of the system: {message}"):
            train(Recipe.from_dict({**tree, "system": {**tree["system"], "type": "leaving"}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", [points(4), adapted(4)], ids=["gan", "adaptation"])
def test_every_product_is_kept(recipe: Any, tmp_path: Path) -> None:
    run = train(recipe, tmp_path / "run")
    newest = sorted((run / "checkpoints").iterdir())[-1]
    live, averaged = load_file(newest / "system.safetensors"), load_file(newest / "ema.safetensors")
    main: Any = Pretrained.from_pretrained(run)
    critic: Any = Critic.from_pretrained(run / "weights" / "critic")
    assert all(v.equal(averaged[k]) for k, v in main.state_dict().items())
    assert all(v.equal(live[f"critic.{k}"]) for k, v in critic.state_dict().items())
    assert json.loads((run / "weights/products.json").read_text())[1] == "critic"


def test_one_product_needs_no_names(tmp_path: Path) -> None:
    run = train(by_example(2), tmp_path / "run")
    assert sorted(p.name for p in (run / "weights").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert isinstance(Pretrained.from_pretrained(run), VAE)


def test_what_cannot_be_scored_is_told() -> None:
    with pytest.raises(RecipeError, match="evaluate: nothing can be scored of an MLPCritic; leave it out"):
        judge_of(MLPCritic(2, 4, 2))


class Odd:
    """A judge of its own."""

    def check(self, asked: Any) -> None: ...
    def check_reference(self, asked: Any, product: Any, against: Any) -> None: ...
    def scores(self, product: Any, against: Any, asked: Any, seed: int, progress: Any, crew: Any) -> dict[str, Any]:
        return {"values": {"odd": 1.5}, "better": {"odd": "higher"}, "warnings": []}


def test_a_product_says_how_it_is_scored_and_pictured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "Odd", Odd, raising=False)
    monkeypatch.setattr(GAN, "judged_by", "genkit.evaluation.judges:Odd")
    pictures = list[int]()

    def pictured(self: GAN, rng: torch.Generator, crew: Crew) -> tuple[Tensor, int]:
        pictures.append(1)
        return torch.zeros(6, 1, 4, 4), 3

    monkeypatch.setattr(GAN, "pictured", pictured)
    tree = points(2).to_dict()
    recipe = type(points(2)).from_dict({**tree, "evaluate": {"metrics": ["odd"], "best": "odd", "n": 2}})
    run = train(recipe, tmp_path / "run")
    assert json.loads((run / "scores.json").read_text())["values"] == {"odd": 1.5} and pictures == [1]


def test_the_picture_of_another_product(tmp_path: Path) -> None:
    class Wide:
        def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
            return torch.full((6, 1, 4, 4), -1.0), 3

    draw_samples(Wide(), tmp_path / "wide.png", seed=0)
    with Image.open(tmp_path / "wide.png") as image:
        assert image.width > image.height > 4
