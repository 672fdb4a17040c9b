"""genkit new: from a zip to a recipe that trains, as typed, and refusals in one line."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from genkit.cli import dry_run
from genkit.core import catalog
from genkit.core.generator import Generator
from genkit.images.pixels import write_folder
from genkit.training.starters.plans import PLANS
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with holidays.zip: 60 pictures of 26 pixels, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    x = torch.randint(0, 256, (60, 3, 26, 26), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_folder([x], tmp_path / "holidays")
    Path("holidays/notes.png").write_text("no image")
    shutil.make_archive("holidays", "zip", "holidays")
    shutil.rmtree("holidays")
    monkeypatch.setattr(dry_run, "seconds_per_iteration", lambda recipe: 20.0)
    return tmp_path


def images(folder: str, kinds: tuple[str, ...], size: int = 32, channels: int = 3, count: int = 60) -> None:
    """`count` pictures of each kind in a folder of its name; without kinds in one folder."""
    random = torch.Generator().manual_seed(0)
    for kind in kinds or ("",):
        x = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=random)
        write_folder([x], Path(folder) / kind)


def test_from_a_zip_to_weights(here: Path, capsys: Capture) -> None:
    ran = run(capsys, "new", "holidays.zip", "--minutes", 1)
    assert ran.code == 0, ran
    assert "60 of 61" in ran.out and "notes.png" in ran.out and "genkit train holidays.yaml" in ran.out
    assert re.search(r"warning: 2 iterations are few for this; --minutes \d+ --size 32 would do", ran.out)
    assert ran.out.index("60 of 61") < ran.out.index("timing a few iterations") < ran.out.index("recipe in")
    text = Path("holidays.yaml").read_text()
    assert "# 2 iterations take about 1 minute on the machine" in text
    assert "# Smaller than 32 pixels, and enlarged: 60 of 60." in text and "enlarge: true" in text
    assert Image.open("holidays.png").width > 400
    assert "skip_bad: true" in text
    smaller = ("train.batch_size=8", "every.grid=0")
    ran = run(capsys, "train", "holidays.yaml", *smaller, "evaluate=null")
    assert ran.code == 0, ran
    told, began = ran.out.index("holidays.zip: 60 of 61 images; converted: 60 enlarged"), ran.out.index("training 2/2")
    assert told < began and "left out: 1 (notes.png: not an image" in ran.out
    assert run(capsys, "sample", "runs/holidays", "-n", 2, "--out", "s").code == 0


def test_a_better_start_is_named_and_works_as_typed(here: Path, capsys: Capture) -> None:
    ran = run(capsys, "new", "holidays.zip", "--minutes", 2, "--out", "my own.yaml", "--seed", 4)
    said = ran.out.partition("from weights that know others; for that type instead\n  genkit ")[2]
    assert said.startswith("new holidays.zip --from small-photos-gan --minutes 2 --out 'my own-from-others.yaml'"), ran
    ran = run(capsys, *shlex.split(said))
    assert ran.code == 0 and "know others" not in ran.out, ran
    line = "genkit train 'my own-from-others.yaml' --from small-photos-gan\n"
    assert f"  {line}" in ran.out and f"#   {line}" in Path("my own-from-others.yaml").read_text()
    assert "#   genkit train 'my own.yaml'\n" in Path("my own.yaml").read_text()
    for more in (["--size", 28], ["--system", "vae"]):
        ran = run(capsys, "new", "holidays.zip", *more, "--out", f"{more[-1]}.yaml")
        assert ran.code == 0 and "know others" not in ran.out, ran


@pytest.mark.parametrize("name", ["2024", "no", "null", "1e5", "0x1f", "2024-07-01", "_", "été"])
def test_images_may_have_any_name(here: Path, capsys: Capture, name: str) -> None:
    Path("holidays.zip").rename(f"{name}.zip")
    ran = run(capsys, "new", f"{name}.zip", "--minutes", 1)
    assert ran.code == 0, ran
    smaller = ("train.batch_size=8", "every.grid=0", "evaluate=null", "train.steps=1", "--dry-run")
    assert run(capsys, "train", f"{name}.yaml", *smaller).code == 0
    written = Path(f"{name}.yaml").read_text()
    assert isinstance(yaml.safe_load(written)["name"], str)
    assert f"path: {here / name}.zip" in written and f" of {name}.zip, 60 images" in written


def test_why_folders_are_no_classes_is_told(here: Path, capsys: Capture) -> None:
    images("mine", ("cat", "dog"), count=60)
    for stray in (False, True):
        if stray:
            next(Path("mine/cat").iterdir()).rename("mine/one.png")
        ran = run(capsys, "new", "mine", "--minutes", 1, "--out", f"{stray}.yaml")
        line = "one.png lies beside the folders cat, dog, so these are not taken for classes"
        assert ran.code == 0 and (f"classes       none: {line}" in ran.out) == stray, ran
        assert (f"# No classes: {line}" in Path(f"{stray}.yaml").read_text()) == stray


@pytest.mark.parametrize("count", [1, 3, 49, 50])
def test_a_handful_of_images_is_told(here: Path, capsys: Capture, count: int) -> None:
    images("mine", (), count=count)
    ran = run(capsys, "new", "mine", "--minutes", 1)
    said = f"warning: of {count} image{'s' * (count > 1)} little can be learned but to repeat them"
    assert ran.code == 0 and (said in ran.out) == (count < 50), ran


def test_every_start_is_shipped_and_makes_such_images() -> None:
    for plan in PLANS.values():
        for (channels, side), name in plan.starts.items():
            assert Generator.from_pretrained(name).sample_shape == (channels, side, side)


def test_from_shipped_weights_and_on_from_that_run(here: Path, capsys: Capture) -> None:
    ran = run(capsys, "new", "holidays.zip", "--from", "fashion-mnist-gan", "--minutes", 1)
    assert ran.code == 0 and "genkit train holidays.yaml --from fashion-mnist-gan" in ran.out, ran
    recipe = yaml.safe_load(Path("holidays.yaml").read_text())
    assert recipe["data"]["size"] == 28 and recipe["data"]["channels"] == 1 and recipe["train"]["steps"] == 2
    small = ("train.batch_size=8", "every.grid=0", "evaluate=null")
    ran = run(capsys, "train", "holidays.yaml", "--from", "fashion-mnist-gan", *small)
    assert ran.code == 0 and "starts from the weights of fashion-mnist-gan" in ran.out, ran
    ran = run(capsys, "new", "holidays.zip", "--from", "runs/holidays", "--out", "more.yaml")
    assert ran.code == 0, ran
    assert yaml.safe_load(Path("more.yaml").read_text())["train"]["batch_size"] == 8
    assert run(capsys, "train", "more.yaml", "--from", "runs/holidays", "train.steps=1").code == 0
    for more in ([], ["--dry-run"]):
        ran = run(capsys, "train", "more.yaml", "train.steps=1", "--out", "runs/forgot", *more)
        assert ran.code == 0 and "starts from runs/holidays, iteration 2: all its networks" in ran.out, ran
    said = refusal(capsys, "train", "more.yaml", "--from", "fashion-mnist-gan", "--dry-run")
    assert said.endswith("leave --from out, or say start=fashion-mnist-gan in its place")


@pytest.mark.parametrize("start", ["small-photos-gan", "fashion-mnist-exemplar-vae", "run"])
def test_a_training_from_weights_is_looked_at_as_often_as_one_from_nothing(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    if start == "run":
        assert run(capsys, "new", "holidays.zip", "--minutes", 1).code == 0
        assert run(capsys, "train", "holidays.yaml", "train.steps=1", "evaluate=null", "--out", "run").code == 0
    monkeypatch.setattr(dry_run, "seconds_per_iteration", lambda recipe: 0.1)
    ran = run(capsys, "new", "holidays.zip", "--from", start, "--minutes", 4, "--out", "on.yaml")
    assert ran.code == 0, ran
    recipe = yaml.safe_load(Path("on.yaml").read_text())
    assert recipe["train"]["steps"] == 2040
    assert (recipe["every"]["grid"], recipe["every"]["checkpoint"], recipe["every"]["log"]) == (100, 100, 50)
    assert "# The shorter sides are of 26 pixels." in Path("on.yaml").read_text()
    grey = "exemplar" in start
    assert (f"warning: {start} makes grey images, so the colours of these are left out" in ran.out) == grey


def test_classes_that_the_weights_do_not_know_are_told(here: Path, capsys: Capture) -> None:
    images("two", ("a", "b"), size=28)
    ran = run(capsys, "new", "two", "--from", "digits-wgan-ratio-clipping", "--out", "digits.yaml")
    assert ran.code == 0 and yaml.safe_load(Path("digits.yaml").read_text())["system"]["critic"]["channels"] == 1, ran
    ran = run(capsys, "new", "two", "--from", "fashion-mnist-gan")
    assert "warning: fashion-mnist-gan knows of no classes, so those of these images are left out" in ran.out
    assert ran.code == 0 and "grey images" in ran.out


def test_what_a_training_cannot_go_on_from_is_told_before_the_images_are_looked_at(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genkit.training.starters.survey.survey", lambda *_: pytest.fail("too late"))
    for start in (
        "small-photos-gan",
        "fashion-mnist-upsampler",
        "mnist-classifier",
        "mnist-styleex",
        "mnist-directions",
    ):
        refusal(capsys, "new", "holidays.zip", "--from", start, *(["--size", 64] if "photos" in start else []))


@pytest.mark.parametrize("kinds", [(), ("deer", "frog")])
def test_from_weights_of_other_classes(here: Path, capsys: Capture, kinds: tuple[str, ...]) -> None:
    """And on from that run, to the three classes of the first weights again."""
    images("mine", kinds)
    small = ("train.batch_size=8", "every.grid=0", "every.checkpoint=1", "every.keep=9", "evaluate=null")
    ran = run(capsys, "new", "mine", "--from", "small-photos-gan", "--minutes", 1)
    system = yaml.safe_load(Path("mine.yaml").read_text())["system"]
    assert system["generator"]["network"]["classes"] == system["critic"]["classes"] == len(kinds), ran
    ran = run(capsys, "train", "mine.yaml", "--from", "small-photos-gan", *small)
    assert ran.code == 0 and "make 3 x 32 x 32 in 3 classes, here 3 x 32 x 32" in ran.out and "new are" not in ran.out
    given = load_file(catalog.shipped("weights") / "small-photos-gan/model.safetensors")
    critic = load_file(catalog.shipped("weights") / "small-photos-gan/critic/model.safetensors")
    begun = load_file("runs/mine/checkpoints/step-00000000/system.safetensors")
    averaged = load_file("runs/mine/checkpoints/step-00000000/ema.safetensors")
    stem, latents = "network.stem.weight", 64
    for state, prefix in ((begun, "generator."), (averaged, "")):
        assert state[prefix + stem][:, :latents].equal(given[stem][:, :latents].float())
        assert state[prefix + stem].shape[1] == latents + len(kinds)
        assert state[prefix + "network.convs.0.weight"].equal(given["network.convs.0.weight"].float())
    for name, tensor in critic.items():
        whole = begun.get(f"critic.{name}", tensor)
        assert whole[: len(tensor)].equal(tensor[: len(whole)].float())
    images("three", ("a", "b", "c"))
    ran = run(capsys, "new", "three", "--from", "runs/mine", "--minutes", 1)
    assert ran.code == 0 and run(capsys, "train", "three.yaml", "--from", "runs/mine", *small).code == 0, ran


def test_a_diffusion_model_of_other_classes(here: Path, capsys: Capture) -> None:
    """Ten kinds of clothes, from which images without kinds, and of two, go on; "no label" goes with the labels."""
    for name, kinds in (("mine", ()), ("two", ("a", "b"))):
        images(name, kinds, size=28, channels=1)
        assert run(capsys, "new", name, "--from", "fashion-mnist-ddpm", "--minutes", 1).code == 0
        system = yaml.safe_load(Path(f"{name}.yaml").read_text())["system"]
        network = system["generator"]["network"]
        assert (network["classes"], network.get("unlabelled", False)) == (len(kinds), bool(kinds))
        assert bool(system.get("label_dropout")) == bool(kinds)
        small = ("train.batch_size=8", "train.steps=1", "every.grid=0", "evaluate=null")
        ran = run(capsys, "train", f"{name}.yaml", "--from", "fashion-mnist-ddpm", *small)
        assert ran.code == 0 and "taken as far as it fits" in ran.out, ran


def test_weights_to_start_from_are_looked_for_before_the_images(here: Path, capsys: Capture) -> None:
    ran = run(capsys, "new", "holidays.zip", "--from", "nowhere")
    assert ran.code == 2 and ran.out == "" and "no weights at nowhere" in ran.err, ran


def test_a_recipe_is_never_replaced(here: Path, capsys: Capture) -> None:
    Path("holidays.yaml").write_text("mine")
    assert "holidays.yaml exists; choose another place with --out" in refusal(capsys, "new", "holidays.zip")
    assert Path("holidays.yaml").read_text() == "mine"


def test_nor_is_a_picture_where_the_contact_sheet_would_go(here: Path, capsys: Capture) -> None:
    Path("holidays.png").write_bytes(b"mine")
    assert "holidays.png exists; choose another place with --out" in refusal(capsys, "new", "holidays.zip")
    assert Path("holidays.png").read_bytes() == b"mine" and not Path("holidays.yaml").exists()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("nowhere.zip",), "nowhere.zip does not exist"),
        (("Holiday.zip",), "Holiday.zip does not exist; did you mean 'holidays.zip'?"),
        (("Holiday",), "no file, folder or data set 'Holiday'; did you mean 'holidays.zip'?"),
        (("fashion_mnits",), "no file, folder or data set 'fashion_mnits'; did you mean 'fashion_mnist'"),
        (("gaussians8",), "holds points"),
        (("holidays.zip", "--system", "stylegan2", "--size", 30), "--size 30: this system makes images of 32, 64"),
        (("holidays.zip", "--system", "stylegan3"), "'stylegan3' is not one of"),
        (("holidays.zip", "--minutes", 0), "--minutes"),
        (("holidays.zip", "--out", "recipe.txt"), "should end with .yaml or .yml"),
        (("holidays.zip", "--from", "fashion-mnist-gan", "--size", 32), "it makes [1, 28, 28]; leave --size out"),
        (("holidays.zip", "--from", "fashion-mnist-gan", "--system", "vae"), "--system is that of the weights"),
        (("holidays.zip", "--from", "fashion-mnist-rejection"), "knows no training of a rejection; begin from its run"),
        (("holidays.zip", "--from", "mnist-classifier"), "mnist-classifier"),
    ],
)
def test_what_cannot_be_is_refused(here: Path, capsys: Capture, given: tuple[object, ...], reason: str) -> None:
    assert reason in refusal(capsys, "new", *given)
    assert not list(here.glob("*.yaml"))
