"""Export: diffusers loads the folder and walks the same chain, and the way back gives the same generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DiffusionPipeline
from safetensors import SafetensorError

from genkit.core.catalog import shipped
from genkit.core.errors import CheckpointError, WeightsError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.multistep import DPMSolver, UniPC
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.networks.unet_plan import UNetPlan
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.foreign import export_pipeline, import_checkpoint
from genkit.gan.gan import GAN
from genkit.gan.networks.dcgan import DCGANGenerator
from tests.cli.console import refusal, run
from tests.diffusion.authors.pipelines import TINY, ddpm

CLOSE = {"rtol": 0.0, "atol": 5e-4}
Capture = pytest.CaptureFixture[str]

CHAINS: list[tuple[Any, dict[str, Any], int]] = [
    (Ancestral(), {}, 20),
    (Ancestral(), {"steps": 25, "schedule": "linear", "prediction": "v", "variance": "fixed_small"}, 25),
    (Ancestral("5"), {"prediction": "x0"}, 5),
    (Ancestral("ddim5"), {"variance": "learned_range"}, 5),
    (Ancestral("7"), {"variance": "learned_range", "steps": 40}, 7),
    (Ancestral("10"), {"steps": 50, "schedule": [0.01 + 0.003 * i for i in range(50)]}, 10),
    (Ancestral("5", variance="fixed_large"), {"variance": "learned_range"}, 5),
    (Ancestral(), {"kept": "6"}, 6),
    (DDIM("ddim10"), {"steps": 100}, 10),
    (DDIM("ddim10", 0.7), {"steps": 100, "variance": "learned_range"}, 10),
    (DDIM("ddim10", 0.7), {"steps": 100, "variance": "learned"}, 10),
    (DPMSolver(6), {"steps": 100}, 6),
    (DPMSolver(20, order=3), {"steps": 100, "variance": "learned_range", "prediction": "v"}, 20),
]
"""Solver, process, network evaluations: chains of a pipeline class of diffusers."""
OWN_CHAINS: list[tuple[Any, dict[str, Any], int]] = [
    (Ancestral("4,2"), {"variance": "learned_range"}, 6),
    (Ancestral("5"), {"steps": 40, "rescale_steps": True}, 5),
    (DDIM("5"), {"variance": "learned_range"}, 5),
    (DDIM("ddim34", 0.5), {"steps": 100}, 34),
    (DPMSolver(5), {"steps": 400, "kept": "50"}, 5),
    (DPMSolver(5), {"steps": 100, "rescale_steps": True}, 5),
    (UniPC(6, order=3), {"steps": 100, "variance": "learned_range"}, 6),
]
"""As above, but by the class that is brought along."""


def streams(n: int) -> list[torch.Generator]:
    """As genkit draws n samples with seed 0."""
    return Rows(n, torch.Generator().manual_seed(0)).streams


def arguments(generator: DDPM, steps: int) -> dict[str, Any]:
    """Of a call of a pipeline of diffusers' own."""
    more = {"eta": generator.solver.eta, "use_clipped_model_output": True} if isinstance(generator.solver, DDIM) else {}
    return {"batch_size": 3, "num_inference_steps": steps, **more}


def check(pipeline: Any, generator: DDPM, label: int | None = None, **asked: Any) -> None:
    """That both sample the same images from the same noise."""
    theirs = pipeline(generator=streams(3), output_type="pt", **asked).images
    condition = None if label is None else {"label": label}
    ours = generator.sample(3, condition=condition, rng=torch.Generator().manual_seed(0))
    assert ours.std() > 0.1
    torch.testing.assert_close(2 * theirs - 1, ours, **CLOSE)


def check_way_back(folder: Path, generator: DDPM, out: Path) -> None:
    again = import_checkpoint("diffusers/pipeline", folder, None, out)
    assert again.config == generator.config
    torch.testing.assert_close(dict(again.state_dict()), dict(generator.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize(("solver", "process", "steps"), CHAINS)
def test_a_class_of_diffusers_walks_the_chain(solver: Any, process: dict[str, Any], steps: int, tmp_path: Path) -> None:
    generator = ddpm(solver, **{"steps": 20, **process})
    folder = export_pipeline(generator, tmp_path / "p")
    kind = DDIMPipeline if isinstance(solver, DDIM) else DDPMPipeline
    check(kind.from_pretrained(folder), generator, **arguments(generator, steps))
    assert not (folder / "pipeline.py").exists()
    check_way_back(folder, generator, tmp_path / "w")


@pytest.mark.usefixtures("own_module_cache")
@pytest.mark.parametrize(("solver", "process", "steps"), OWN_CHAINS)
def test_the_class_that_is_brought_along_walks_the_chain(
    solver: Any, process: dict[str, Any], steps: int, tmp_path: Path
) -> None:
    generator = ddpm(solver, **{"steps": 20, **process})
    folder = export_pipeline(generator, tmp_path / "p")
    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    evaluations = []
    pipeline.unet.register_forward_hook(lambda *_: evaluations.append(1))
    check(pipeline, generator, batch_size=3)
    assert len(evaluations) == steps
    check_way_back(folder, generator, tmp_path / "w")


@pytest.mark.usefixtures("own_module_cache")
@pytest.mark.parametrize(
    ("solver", "network"),
    [
        (Ancestral("5"), {"size": 16, "patch": 2}),
        (Ancestral("5"), {"size": 16, "patch": 2, "classes": 3, "channels": 3}),
        (DDIM("ddim5"), {"size": 16, "patch": 2, "classes": 3}),
        (DPMSolver(5), {"size": 16, "patch": 2}),
        (UniPC(5), {"classes": 3, "unlabelled": True, "resample": "conv", "heads": 2, "attention": []}),
    ],
)
def test_labels_and_squares_of_pixels(solver: Any, network: dict[str, Any], tmp_path: Path) -> None:
    generator = ddpm(solver, network=network, steps=100, variance="learned_range")
    folder = export_pipeline(generator, tmp_path / "p")
    label = 2 if "classes" in network else None
    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    check(pipeline, generator, label, batch_size=3, labels=label)
    x, t = torch.randn(2, *generator.sample_shape), torch.tensor(7)
    y = None if label is None else torch.tensor([label, 0])
    with torch.no_grad():
        ours, theirs = generator.network(x, t.expand(2).float(), y), pipeline.predict(x, t, y)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
    check_way_back(folder, generator, tmp_path / "w")


def test_names_of_classes_come_back(tmp_path: Path) -> None:
    generator = ddpm(steps=20, network={"classes": 3})
    generator.class_names = ("bag", "coat", "boot")
    import_checkpoint("diffusers/pipeline", export_pipeline(generator, tmp_path / "p"), None, tmp_path / "w")
    assert Generator.from_pretrained(tmp_path / "w").class_names == ("bag", "coat", "boot")


def test_the_variance_matters(tmp_path: Path) -> None:
    """A wrong variance is noticed, so the comparisons above can fail."""
    pipeline = DDPMPipeline.from_pretrained(export_pipeline(ddpm(Ancestral("5"), steps=20), tmp_path / "p"))
    generator = ddpm(Ancestral("5"), steps=20, variance="fixed_small")
    with pytest.raises(AssertionError, match="not close"):
        check(pipeline, generator, **arguments(generator, 5))


def test_variance_that_diffusers_does_not_sample_comes_back(tmp_path: Path) -> None:
    generator = ddpm(DDIM("ddim10"), steps=100, variance="learned_range")
    folder = export_pipeline(generator, tmp_path / "p")
    assert DDIMPipeline.from_pretrained(folder).unet.config.out_channels == 1
    check_way_back(folder, generator, tmp_path / "w")


@pytest.mark.parametrize(
    ("network", "process", "said"),
    [
        ({"resample": "pool"}, {}, "resampling without parameters"),
        ({"multipliers": [2, 2]}, {}, "needs a first one of 1"),
        ({"heads": 2, "attention": [8, 4]}, {}, "one number of heads at several widths"),
        ({"decoder_heads": 1, "attention": [8, 4]}, {}, "network.heads"),
        ({}, {"variance": "learned"}, "process.variance"),
    ],
)
def test_what_diffusers_cannot_express(network: Any, process: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=said):
        export_pipeline(ddpm(network=network, **{"steps": 20, **process}), tmp_path / "p")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: UNet(UNetPlan(**TINY)), "only a ddpm becomes a pipeline of diffusers, got a UNet"),
        (lambda: GAN(DCGANGenerator(4, size=16, channels=1, width=8)), "got a GAN"),
        (lambda: ClassifierFreeGuided(ddpm(steps=20, network={"classes": 3, "unlabelled": True})), "that it guides"),
    ],
)
def test_another_generator_is_refused(made: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=said):
        export_pipeline(made(), tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_an_unknown_solver_is_refused(tmp_path: Path) -> None:
    generator = ddpm(steps=20)
    generator.__dict__["_solver"] = object()
    with pytest.raises(WeightsError, match="solver: diffusers has no scheduler like object"):
        export_pipeline(generator, tmp_path / "p")


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), SafetensorError("I/O error: No space left on device (os error 28)")],
)
def test_a_failed_export_leaves_nothing(failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: Any) -> None:
        raise failure

    monkeypatch.setattr("genkit.diffusion.authors.diffusers_pipeline.write_note", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        export_pipeline(ddpm(steps=20), tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_the_command(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ddpm(steps=20).save_pretrained(tmp_path / "w")
    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    ran = run(capsys, "export", tmp_path / "w", "--to", "diffusers", "--out", ".")
    assert ran.code == 0 and "README.md" in ran.out
    files = ["README.md", "genkit.json", "model_index.json", "scheduler", "unet"]
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == files
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "w"]


@pytest.mark.parametrize(("out", "said"), [("w", "not empty"), ("f", "is a file"), ("f/p", "f is no folder")])
def test_the_command_looks_at_out_before_it_loads(out: str, said: str, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    for name in ("w/mine.txt", "f"):
        (tmp_path / name).write_text("mine")
    assert said in refusal(capsys, "export", "no-such-weights", "--to", "diffusers", "--out", tmp_path / out)


def test_the_command_names_what_it_cannot_export(capsys: Capture, tmp_path: Path) -> None:
    kinds = {
        json.loads((folder / "config.json").read_text())["type"]: folder for folder in shipped("weights").iterdir()
    }
    assert len(kinds) >= 5
    for folder in (folder for kind, folder in kinds.items() if kind != "ddpm"):
        said = refusal(capsys, "export", folder, "--to", "diffusers", "--out", tmp_path / "p")
        assert said.startswith("only a ddpm becomes a pipeline of diffusers, got a"), said
    assert not list(tmp_path.iterdir())
