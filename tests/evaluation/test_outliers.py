"""Ranking a data set by robust weights: by hand-made games, and by one that has learned."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from scipy.stats import mannwhitneyu
from torch import Tensor

from genkit.core.chi_square import closed_form
from genkit.core.errors import EvaluationError, RecipeError
from genkit.data.dataset import DataSet
from genkit.data.digits import digits
from genkit.data.outlier_mixture import outlier_mixture
from genkit.evaluation.outliers import Ranking, averaged, rank_outliers, write_ranking
from genkit.training.recipe import Recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

POINTS = DataSet("points", torch.tensor([[0.0], [3.0], [1.0], [2.0], [9.0]]))


class Coordinate(torch.nn.Module):
    """A critic that gives a point its coordinate."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes, self.one = classes, torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, y: Any) -> Tensor:
        return self.one * x.sum(1)


def game(weighting: Any, classes: int = 0) -> Any:
    generator = SimpleNamespace(sample_shape=(1,))
    return SimpleNamespace(generator=generator, critic=Coordinate(classes), real_weighting=weighting)


def test_high_scores_are_suspicious() -> None:
    found = rank_outliers(game(None), POINTS, share=0.2)
    assert found.by == "closed form" and found.order.tolist() == [4, 1, 3, 2, 0] and found.junk.tolist()[4]
    torch.testing.assert_close(found.weight, closed_form(POINTS.x[:, 0].double(), 0.125))


def test_the_games_own_radius_and_another() -> None:
    own = rank_outliers(game(SimpleNamespace(rho=0.0)), POINTS)
    assert own.rho == 0 and torch.equal(own.weight, torch.ones(5).double())
    assert rank_outliers(game(SimpleNamespace(rho=0.0)), POINTS, share=0.2).rho == 0.125


def test_a_weight_networks_weights_come_before_scores() -> None:
    weighting = SimpleNamespace(rho=0.1, raw=lambda x: (x[:, 0] - 1).abs())
    found = rank_outliers(game(weighting), POINTS)
    assert found.by == "weight network" and found.weight.mean().item() == pytest.approx(1)
    assert found.order.tolist() == [2, 3, 0, 1, 4]  # rows 0 and 3 weigh the same, and 3 scores higher
    with pytest.raises(EvaluationError, match="give no other"):
        rank_outliers(game(weighting), POINTS, share=0.1)


def test_refusals() -> None:
    with pytest.raises(EvaluationError, match="without weights"):
        rank_outliers(game(None), POINTS)
    with pytest.raises(RecipeError, match="0 to below"):
        rank_outliers(game(None), POINTS, share=0.5)
    with pytest.raises(EvaluationError, match=r"are \[2\], but the critic judges \[1\]"):
        rank_outliers(game(None), DataSet("plane", torch.zeros(3, 2)), share=0.1)
    with pytest.raises(EvaluationError, match="no labels"):
        rank_outliers(game(None, classes=3), POINTS, share=0.1)


def test_a_critic_of_other_classes() -> None:
    pictures = torch.zeros(6, 1, 4, 4, dtype=torch.uint8)
    made: Any = SimpleNamespace(
        generator=SimpleNamespace(sample_shape=(1, 4, 4)), critic=Brightness(1.0), real_weighting=None
    )
    made.critic.classes = 2
    with pytest.raises(EvaluationError, match="the critic judges samples of 2 classes, and three has 3"):
        rank_outliers(made, DataSet("three", pictures, torch.arange(6) % 3), share=0.1)


@pytest.mark.parametrize("rounding", [0.0, 1e-7])
def test_images_that_are_equal_weigh_the_same(rounding: float) -> None:
    """The scores of equal images differ by rounding, which depends on the batch that they are in."""
    score = torch.full((55,), -9.63251, dtype=torch.float64)
    score[52:] *= 1 + rounding
    torch.testing.assert_close(closed_form(score, 0.0263), torch.ones(55, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("share", "place", "trusted"), [(0.05, 3, True), (0.05, 4, False), (0.3, 13, True)])
def test_a_ranking_is_trusted_by_place_alone(share: float, place: int, trusted: bool) -> None:
    """However many rows the weights leave out."""
    weight = torch.cat([torch.zeros(20), torch.full((20,), 2.0)])
    found = Ranking(weight, weight, "closed form", share / (2 * (1 - share)), place)
    assert (not found.doubt) == trusted


def test_several_critics_are_asked_together() -> None:
    """Each in its own deviations, so that a critic of large scores does not speak for all."""
    loud, soft = torch.tensor([0.0, 100.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.1])
    noise = torch.tensor([50.0, 50.0]), torch.tensor([1.0, 1.0])
    each = [
        Ranking(torch.ones(4), s.double(), "closed form", 0.2, 1, k.double())
        for s, k in ((loud, noise[0]), (soft, noise[1]))
    ]
    found = averaged([*each, each[1]])
    assert found.order[0] == 2 and found.noise_rank == 1 and found.rho == 0.2
    assert averaged(each[:1]).order[0] == 1 and averaged(each[:1]).noise_rank == 2
    equal = Ranking(torch.ones(4), torch.full((4,), 3.0).double(), "closed form", 0.2, 1, noise[0].double())
    assert averaged([equal]).weight.tolist() == [1, 1, 1, 1]


class Brightness(torch.nn.Module):
    """A critic of images by their mean; `sign` says whether bright or dark ones are suspicious."""

    def __init__(self, sign: float):
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(sign))

    def forward(self, x: Tensor, y: Any) -> Tensor:
        return self.sign * x.flatten(1).mean(1)


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize(("sign", "trusted"), [(1.0, True), (-1.0, False)])
def test_noise_made_here_tells_whether_a_ranking_can_be_trusted(sign: float, trusted: bool, network: bool) -> None:
    """Images are dark but for one in twenty; noise, which is brighter, comes after these where bright ones count."""
    levels = torch.arange(40, dtype=torch.uint8)
    levels[::20] = 250
    data = DataSet("grey", levels[:, None, None, None].expand(-1, 1, 8, 8).contiguous())
    critic = Brightness(sign)
    weighting = SimpleNamespace(rho=0.1, raw=lambda x: (1 - critic(x, None)).detach()) if network else None
    made = SimpleNamespace(generator=SimpleNamespace(sample_shape=(1, 8, 8)), critic=critic, real_weighting=weighting)
    found = rank_outliers(made, data, share=None if network else 0.05)
    assert found.noise_rank == (3 if trusted else 39)
    assert (found.doubt == "") == trusted
    assert trusted or "comes as number 39 of 40 and not among the first" in found.doubt
    assert found.share == pytest.approx(1 / 6 if network else 0.05)


@pytest.mark.parametrize(("level", "place"), [(30, 10), (255, 1)])
def test_noise_that_was_planted_is_asked_instead_of_noise_made_here(level: int, place: int) -> None:
    data, planted = (
        DataSet("grey", torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous())
        for levels in (range(40), [0, level, level, 255])
    )
    made = SimpleNamespace(
        generator=SimpleNamespace(sample_shape=(1, 8, 8)), critic=Brightness(1.0), real_weighting=None
    )
    assert rank_outliers(made, data, share=0.05, noise=planted).noise_rank == place


def test_points_are_not_tried_by_noise() -> None:
    assert rank_outliers(game(None), POINTS, share=0.2).noise_rank is None


def test_the_table(tmp_path: Path) -> None:
    found = Ranking(torch.tensor([1.5, 0.0, 1.5]), torch.tensor([0.0, 7.0, 1.0]), "closed form", 0.1)
    write_ranking(found, tmp_path / "a.csv", ["x,y.png", "b.png", "c.png"])
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["rank"], row["row"], row["file"]) for row in rows] == [
        ("1", "1", "b.png"),
        ("2", "2", "c.png"),
        ("3", "0", "x,y.png"),
    ]
    assert rows[0]["weight"] == "0" and rows[0]["score"] == "7"
    write_ranking(found, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().splitlines()[0] == "rank,row,weight,score"
    with pytest.raises(EvaluationError, match="2 names for 3"):
        write_ranking(found, tmp_path / "c.csv", ["a", "b"])


def test_no_file_name_is_a_formula(tmp_path: Path) -> None:
    names = ["=1+1.png", "+1.png", "-1.png", "@x.png", "\tx.png", "a=b.png"]
    n = len(names)
    found = Ranking(torch.ones(n), torch.arange(n, 0.0, -1.0), "closed form", 1.0)
    write_ranking(found, tmp_path / "a.csv", names)
    with open(tmp_path / "a.csv", newline="") as file:
        cells = [row["file"] for row in csv.DictReader(file)]
    assert cells == ["'=1+1.png", "'+1.png", "'-1.png", "'@x.png", "'\tx.png", "a=b.png"]


def test_a_game_finds_noise_among_digits_that_it_was_trained_on() -> None:
    settings = [
        "system.generator.network={type: dcgan_generator, latent_dim: 16, size: 14, channels: 1, width: 16}",
        "system.critic={type: dcgan_critic, size: 14, channels: 1, width: 16}",
        "system.real_weighting.start=300",
    ]
    recipe = Recipe.load("digits/robust_wgan_closed_form", settings)
    data = outlier_mixture(digits(size=14), share=0.05)
    system, stream = recipe.build_system(), Stream(data, 32, seed=0)
    trainer = Trainer(system, stream, recipe.build_optimizers(), steps=75, accelerator=Accelerator(cpu=True))
    for _ in range(75):
        trainer.iterate()
    found = rank_outliers(trainer.system, data)  # type: ignore[arg-type]
    ups, downs = found.score[data.outliers], found.score[~data.outliers]
    assert mannwhitneyu(ups, downs).statistic / (len(ups) * len(downs)) > 0.85
    assert found.weight[data.outliers].mean() < 0.8 < 1 < found.weight[~data.outliers].mean()
