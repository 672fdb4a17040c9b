"""examples/plugin: a package with a network, a technique and a system of its own, as if it were installed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.system import System
from genkit.gan.slots import Turn
from genkit.training.recipe import Recipe
from tests.cli.console import run
from tests.plugins import install, untouched_table

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """By the entry point that pyproject.toml declares."""
    about = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ((name, target),) = about["entry-points"]["genkit"].items()
    install(tmp_path / "site", monkeypatch, about["name"], f"{name} = {target}", PLUGIN)
    with untouched_table():
        yield


def test_it_is_short() -> None:
    network, system, technique = (
        len((PLUGIN / "genkit_sliced" / f"{name}.py").read_text(encoding="utf-8").splitlines())
        for name in ("network", "system", "technique")
    )
    assert network + system < 80 and technique < 40


def test_it_is_listed_explained_and_cited(capsys: Capture) -> None:
    assert "coordinate_generator" in run(capsys, "list", "networks").out
    assert "sliced_wasserstein_training" in run(capsys, "list", "systems").out
    told = run(capsys, "info", "sliced_wasserstein_training").out
    assert "a LatentGenerator (type: ...)" in told and "Deshpande et al. 2018, Generative" in told
    assert "mode_seeking" in run(capsys, "list", "techniques").out
    assert "@inproceedings{mao2019modeseeking," in run(capsys, "cite", PLUGIN / "mode_seeking.yaml").out
    assert "@inproceedings{deshpande2018sliced," in run(capsys, "cite", PLUGIN / "recipe.yaml").out


def test_it_trains_and_samples(capsys: Capture, tmp_path: Path) -> None:
    fewer = ["train.steps=2", "train.batch_size=8", "evaluate=null", "system.directions=8", "train.trackers=[]"]
    ran = run(capsys, "train", PLUGIN / "recipe.yaml", *fewer, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    ran = run(capsys, "sample", tmp_path / "run", "-n", 4, "--out", tmp_path / "samples")
    assert ran.code == 0 and len(list((tmp_path / "samples").rglob("*.png"))) == 4, ran.err
    images = Generator.from_pretrained(tmp_path / "run").sample(3, rng=torch.Generator().manual_seed(0))
    assert images.shape == (3, 1, 28, 28) and images.std() > 0.01


def test_the_technique_trains_and_is_logged(capsys: Capture, tmp_path: Path) -> None:
    fewer = ["train.steps=2", "train.batch_size=8", "evaluate=null", "train.trackers=[]", "every.log=1"]
    ran = run(capsys, "train", PLUGIN / "mode_seeking.yaml", *fewer, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert '"generator/mode_seeking"' in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")


class Scaled(LatentGenerator):
    """scale * z."""

    sample_shape = (2,)

    def __init__(self, scale: float):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))

    def forward(self, z: torch.Tensor, condition: object = None) -> torch.Tensor:
        return self.scale * z


def test_the_technique_drives_samples_apart() -> None:
    """Of scale * z the mean ratio is the scale, so the term is weight / scale."""
    technique = build({"type": "mode_seeking", "weight": 3}, kind="techniques")
    generator, z = Scaled(0.5), torch.randn(6, 2)
    game = SimpleNamespace(generator=generator, score=lambda x, y: x.sum(1))
    term = technique(Turn(game, "generator", torch.zeros(6, 2), {}, z))
    assert technique.of == "generator" and technique.coupled
    assert term.item() == pytest.approx(3 / 0.5, rel=1e-3)
    (slope,) = torch.autograd.grad(term, generator.scale)
    assert slope.item() == pytest.approx(-3 / 0.5**2, rel=1e-3)


def test_it_learns() -> None:
    """A few steps of plain descent bring the sorted projections closer."""
    torch.manual_seed(0)
    spec = Recipe.load(PLUGIN / "recipe.yaml", ["system.generator.network.size=8", "system.directions=32"])
    system: System = spec.build_system()
    real, z, u = torch.randn(64, 1, 8, 8) * 0.1 - 0.8, torch.randn(64, 16), torch.randn(64, 32)
    u /= u.norm(dim=0)
    optimizer = torch.optim.Adam(system.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = system.loss(real, z, u)["sliced_wasserstein"]  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
