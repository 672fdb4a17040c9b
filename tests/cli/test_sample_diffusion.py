"""genkit sample of diffusion models: solver, steps and guidance."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.generator import Generator
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.upsampler import Cascade
from tests.cli.console import refusal, run
from tests.cli.test_sample import contents
from tests.contracts.specs import DCGAN_G, DDPM, ENCODER, LARGER, NETWORKS, NOISY, PLAIN, UNET, seeded

Capture = pytest.CaptureFixture[str]
FAST = {"solver": {"type": "ancestral", "steps": "3"}}
LABELLED: dict[str, Any] = {**DDPM, **FAST}
SPECS: dict[str, dict[str, Any]] = {
    "labelled": LABELLED,
    "wrapped": {"type": "classifier_free_guided", "generator": LABELLED, "scale": 2.0},
    "unlabelled": {**DDPM, **FAST, "network": {**UNET, "variance": True}},
    "strict": {**DDPM, **FAST, "network": {**UNET, "variance": True, "classes": 10}},
    "guide": NOISY,
    "guide_of_plain": {**NOISY, "process": PLAIN},
    "guide_of_three": {**NOISY, "network": {**ENCODER, "classes": 3}},
    "guide_of_colour": {**NOISY, "network": {**ENCODER, "channels": 3}},
    "classifier": NETWORKS["classifier"][0],
    "gan": {"type": "gan", "network": DCGAN_G},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> folder; no network is at the zero that it would start training from."""
    folder = tmp_path_factory.mktemp("weights")
    for name, spec in SPECS.items():
        made = seeded(spec)
        for parameter in made.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
        made.save_pretrained(folder / name)
    model, guide = Generator.from_pretrained(folder / "labelled"), NoisyClassifier.from_pretrained(folder / "guide")
    ClassifierGuided(model, guide, 2.0).save_pretrained(folder / "guided")
    return {path.name: path for path in folder.iterdir()}


def sample(capsys: Capture, out: Path, *arguments: object) -> dict[str, bytes]:
    ran = run(capsys, "sample", *arguments, "--out", out)
    assert ran.code == 0, ran
    return contents(out)


def pixels(png: bytes) -> Any:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).astype(int)


WAYS = [
    ("labelled", ()),
    ("labelled", ("--solver", "ddim", "--steps", "ddim5")),
    ("labelled", ("--solver", "dpm_solver", "--steps", 4)),
    ("labelled", ("--solver", "unipc", "--steps", 4, "--scale", 3)),
    ("labelled", ("--steps", "2,2", "--scale", 0.5)),
    ("unlabelled", ("--classifier", "guide", "--scale", 4, "--label", 3)),
    ("labelled", ("--classifier", "guide", "--solver", "ddim", "--steps", 4)),
]


@pytest.mark.parametrize(("name", "options"), WAYS, ids=lambda v: "-".join(map(str, v)) if isinstance(v, tuple) else v)
def test_same_files_at_any_batch_size(
    name: str, options: tuple[object, ...], capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    options = tuple(weights.get(str(o), o) if o == "guide" else o for o in options)
    a = sample(capsys, tmp_path / "a", weights[name], "-n", 5, *options)
    b = sample(capsys, tmp_path / "b", weights[name], "-n", 5, "--batch-size", 2, *options)
    assert list(a) == list(b) == [f"{i:06d}.png" for i in range(5)] and len(set(a.values())) == 5
    assert max(abs(pixels(a[k]) - pixels(b[k])).max() for k in a) <= 1, "sums in another order may round the other way"


def test_options_change_the_samples(capsys: Capture, weights: dict[str, Path], tmp_path: Path) -> None:
    ways: list[tuple[object, ...]] = [
        (),
        ("--steps", 7),
        ("--solver", "ddim"),
        ("--solver", "ddim", "--steps", 7),
        ("--solver", "unipc", "--steps", 7),
        ("--scale", 0.5),
        ("--classifier", weights["guide"]),
        ("--classifier", weights["guide"], "--scale", 9),
    ]
    first = [
        sample(capsys, tmp_path / str(k), weights["labelled"], "-n", 1, "--label", 3, *way)["000000.png"]
        for k, way in enumerate(ways)
    ]
    assert len(set(first)) == len(ways)


def test_ends_of_the_scale(capsys: Capture, weights: dict[str, Path], tmp_path: Path) -> None:
    """1 without a classifier, and 0 with one, are the model itself."""
    common = ("-n", 2, "--label", 3)
    plain = sample(capsys, tmp_path / "a", weights["labelled"], *common)
    assert sample(capsys, tmp_path / "b", weights["labelled"], *common, "--scale", 1) == plain
    unguided = (*common, "--classifier", weights["guide"], "--scale", 0)
    assert sample(capsys, tmp_path / "c", weights["labelled"], *unguided) == plain


def test_steps_keep_the_solver_and_wrappers_pass_it_on(
    capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    common = ("-n", 2, "--label", 3, "--steps", "5", "--solver", "ddim")
    a = sample(capsys, tmp_path / "a", weights["labelled"], *common, "--scale", 2)
    assert sample(capsys, tmp_path / "b", weights["wrapped"], *common) == a


@pytest.mark.parametrize(("solver", "doubted"), [("ddim", True), ("unipc", False), ("ancestral", False)])
def test_ddim_guided_by_a_classifier_is_doubted(
    solver: str, doubted: bool, capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    guided = ("--classifier", weights["guide"], "--solver", solver, "--steps", 3, "--label", 1)
    ran = run(capsys, "sample", weights["labelled"], "-n", 2, *guided, "--out", tmp_path / "out")
    assert ran.code == 0 and ("warning: DDIM does not clip" in ran.out) is doubted


def test_the_scale_of_a_guided_model_is_replaced(capsys: Capture, weights: dict[str, Path], tmp_path: Path) -> None:
    common = ("-n", 2, "--label", 3)
    a = sample(capsys, tmp_path / "a", weights["labelled"], *common, "--scale", 5)
    assert sample(capsys, tmp_path / "b", weights["wrapped"], *common, "--scale", 5) == a
    assert sample(capsys, tmp_path / "c", weights["wrapped"], *common) != a
    plain = sample(capsys, tmp_path / "d", weights["labelled"], *common)
    assert sample(capsys, tmp_path / "e", weights["guided"], *common, "--scale", 0) == plain
    guided = sample(
        capsys, tmp_path / "f", weights["labelled"], *common, "--classifier", weights["guide"], "--scale", 9
    )
    assert sample(capsys, tmp_path / "g", weights["guided"], *common, "--scale", 9) == guided != plain


def test_class_names_of_a_guided_model_outlive_another_scale(
    capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    """Its names stand at the outermost alone: nothing inside has any."""
    made = Generator.from_pretrained(weights["guided"])
    made.class_names = tuple("abcdefghij")
    made.save_pretrained(tmp_path / "named")
    by_name = sample(capsys, tmp_path / "a", tmp_path / "named", "-n", 2, "--label", "d", "--scale", 5)
    assert by_name == sample(capsys, tmp_path / "b", weights["guided"], "-n", 2, "--label", 3, "--scale", 5)


def test_steps_of_a_cascade_whose_base_takes_none_are_of_the_upsampler(
    capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    upsampler: Any = seeded({**LARGER, **FAST})
    for parameter in upsampler.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    Cascade(seeded(SPECS["gan"]), upsampler).save_pretrained(tmp_path / "cascade")
    want = sample(capsys, tmp_path / "a", tmp_path / "cascade", "-n", 2, "--label", 3)
    assert sample(capsys, tmp_path / "b", tmp_path / "cascade", "-n", 2, "--label", 3, "--steps", "3") == want
    assert sample(capsys, tmp_path / "c", tmp_path / "cascade", "-n", 2, "--label", 3, "--steps", "5") != want
    line = refusal(capsys, "sample", tmp_path / "cascade", "--scale", 2, "--out", tmp_path / "d")
    assert "--scale is for diffusion models; this is a GAN" in line


REFUSED: list[tuple[str, tuple[object, ...], str]] = [
    ("labelled", ("--solver", "ddim", "--steps", "ddim400"), "no whole stride leaves 400 of 20 steps"),
    ("labelled", ("--steps", 0), "every number at least 1"),
    ("labelled", ("--steps", 1), "at least 2"),
    ("labelled", ("--steps", 21), "21 steps do not fit"),
    ("labelled", ("--steps", "many"), "steps 'many': write '25'"),
    ("labelled", ("--solver", "unipc", "--steps", 0), "steps: "),
    ("labelled", ("--solver", "unipc", "--steps", "ddim5"), "unipc takes a number of evaluations, got 'ddim5'"),
    ("labelled", ("--solver", "dpm_solver", "--steps", 20), "too many for this process; use at most"),
    ("labelled", ("--solver", "euler"), "'euler'"),
    ("labelled", ("--scale", -1), "--scale"),
    ("labelled", ("--label", 10), "takes 0 to 9, got 10"),
    ("labelled", ("--label", 3, "--scale", 0), "takes no condition 'label'"),
    ("strict", ("--scale", 2), "label_dropout"),
    ("unlabelled", ("--scale", 2), "label_dropout"),
    ("unlabelled", ("--label", 3), "takes no condition 'label'"),
    ("unlabelled", ("--classifier", "guide", "--label", 10), "takes 0 to 9, got 10"),
    ("unlabelled", ("--classifier", "guide_of_plain"), "another process (25 steps, linear"),
    ("labelled", ("--classifier", "guide_of_three"), "knows 3 classes, but the generator 10"),
    ("labelled", ("--classifier", "guide_of_colour"), "takes images [3, 8, 8]"),
    ("labelled", ("--classifier", "classifier"), "holds a Classifier, not a NoisyClassifier"),
    ("labelled", ("--classifier", "unlabelled"), "holds a DDPM, not a NoisyClassifier"),
    ("labelled", ("--classifier", "nowhere"), "nowhere"),
    ("gan", ("--solver", "ddim"), "--solver is for diffusion models; this is a GAN"),
    ("gan", ("--steps", 5), "--steps is for diffusion models; this is a GAN"),
    ("gan", ("--scale", 5), "--scale is for diffusion models; this is a GAN"),
    ("gan", ("--classifier", "guide"), "--classifier is for diffusion models; this is a GAN"),
    ("guide", (), "not a Generator"),
]


@pytest.mark.parametrize(
    ("name", "options", "message"), REFUSED, ids=[f"{n}{'-'.join(map(str, o))}" for n, o, _ in REFUSED]
)
def test_bad_input_is_one_line(
    name: str, options: tuple[object, ...], message: str, capsys: Capture, weights: dict[str, Path], tmp_path: Path
) -> None:
    options = tuple(weights.get(str(o), o) if options[k - 1] == "--classifier" else o for k, o in enumerate(options))
    line = refusal(capsys, "sample", weights[name], "-n", 2, *options, "--out", tmp_path / "out")
    assert message in line and len(line) < 300, line
    assert not list((tmp_path / "out").glob("*.png"))
