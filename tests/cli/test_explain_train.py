"""genkit explain train: the recipe that it writes, and the way from a classifier to its page."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genkit.cli import explain_train
from genkit.cli.explaining import page
from genkit.cli.explaining.labelled import right_on
from genkit.cli.explaining.recipe import styleex_recipe, widths
from genkit.core.columns.labels import Labels
from genkit.core.errors import WeightsError
from genkit.core.interruption import Interrupted
from genkit.core.table import has
from genkit.images.pixels import write_folder
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]
TRAINS = pytest.mark.skipif(not has("systems", "styleex_training"), reason="this genkit trains no StyleEx")

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 1, bias=False)
    def forward(self, x):
        return self.linear(x.mean((2, 3)) - 0.5)
"""


HOLDS = """
import sys
from pathlib import Path
from genkit.core.files import only_writer
with only_writer(Path("run"), "training in"):
    print("held", flush=True)
    sys.stdin.read()
"""


def levels(n: int) -> torch.Tensor:
    """(n, 3, 16, 16) from black to white."""
    return torch.linspace(-1, 1, n)[:, None, None, None].expand(n, 3, 16, 16)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is done after the checks, in order, in a folder with mean_net.py and pics."""
    monkeypatch.chdir(tmp_path)
    Path("mean_net.py").write_text(NET)
    sys.modules.pop("mean_net", None)
    # Written twice within a second, a file would be taken for its old self.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write_folder([levels(20)], tmp_path / "pics")
    done: list[Any] = []
    monkeypatch.setattr(explain_train, "_train", lambda recipe, out, resume, *_: done.append((recipe, out, resume)))
    monkeypatch.setattr(explain_train, "_explain", lambda *arguments: done.append(arguments))
    return done


def test_channels_halve_towards_the_full_size() -> None:
    assert widths(32) == [48, 48, 32, 16]
    assert widths(64) == [96, 96, 64, 32, 16]
    assert len(widths(256)) == 7 and max(widths(256)) == 256


@TRAINS
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 32, 32), (3, 64, 64)])
def test_the_recipe_builds(shape: tuple[int, int, int], tmp_path: Path) -> None:
    from genkit.classifiers.conv_classifier import Classifier
    from genkit.training.recipe import Recipe

    Classifier(shape[1], shape[0], 3, width=4).save_pretrained(tmp_path)
    data = {"type": "shapes", "n": 40, "size": shape[1]}
    recipe = Recipe.from_dict(styleex_recipe("x", data, "mine", str(tmp_path), shape, 3, 2, 10, 5))
    system: Any = recipe.build_system()
    assert system.generator.sample_shape == shape and system.generator.conditions["probabilities"].classes == 3
    assert (recipe.train.steps, recipe.train.seed) == (10, 5)


@TRAINS
def test_from_a_classifier_to_the_page(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--out", "run", "--size", "16", "--classes", "sad,glad"]
    line += ["--steps", "7", "--seed", "3", "-n", "11"]
    ran = run(capsys, *line)
    assert ran.code == 0, ran.err
    (recipe, out, resume), explained = steps
    assert (out, resume, recipe.train.steps, recipe.train.seed) == (Path("run"), False, 7, 3)
    data = {"type": "folder", "path": "pics", "size": 16, "channels": 3}
    assert explained == ("mean_net:Net", data, Path("run"), None, 11, 3, 7)
    from genkit.core.pretrained import Pretrained

    kept: Any = Pretrained.from_pretrained(recipe.system["generator"]["classifier"]["weights"])
    assert kept.class_names == ("sad", "glad") and kept.source == "mean_net:Net" and kept.classes == 2


@TRAINS
def test_a_certain_classifier_is_explained_at_a_temperature(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--size", "16"]
    assert run(capsys, *line, "--out", "mild").code == 0
    Path("mean_net.py").write_text(NET.replace("return self", "return 999 * self"))
    sys.modules.pop("mean_net")
    ran = run(capsys, *line, "--out", "sure")
    assert ran.code == 0 and "the classifier is certain of most images: its logits are divided by" in ran.out
    mild, sure = (steps[k][0].system["generator"]["temperature"] for k in (0, 2))
    assert mild == 1 and sure > 1


@TRAINS
def test_a_stopped_run_goes_on_with_its_own_length(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--out", "run", "--size", "16"]
    assert run(capsys, *line, "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    assert run(capsys, *line, "--minutes", 100, "--resume").code == 0
    assert steps[2][0].train.steps == 7 and steps[2][2]
    assert run(capsys, *line, "--range", "0,1", "--resume").code == 0, "as it was"
    assert run(capsys, *line, "--input-size", 16, "--resume").code == 0, "that of the images"
    for option, value, own in (
        ("--size", "32", "was started with images of 16 pixels: leave --size out"),
        ("--classes", "red,blue", "class 0,class 1"),
        ("--mean", "0.9", "not given"),
        ("--input-size", "8", "not given"),
    ):
        again = line[:-2] if option == "--size" else line
        told = refusal(capsys, *again, option, value, "--resume")
        assert (own if option == "--size" else f"whose {option} is {own}: leave {option} out") in told
    Path("run/recipe.yaml").write_text("train: 3")
    assert "cannot be read, so the run cannot go on" in refusal(capsys, *line, "--resume")


@TRAINS
def test_a_classifier_of_28_pixels_sees_what_is_made_resized(steps: list[Any], capsys: Capture) -> None:
    from genkit.classifiers.resized_classifier import ResizedClassifier
    from genkit.core.pretrained import Pretrained

    line = ["explain", "train", "mnist-classifier", "{type: digits, size: 32, channels: 1}"]
    ran = run(capsys, *line, "--out", "run", "-n", 20)
    assert ran.code == 0 and "takes images of 28 pixels: those of 32, which the generator makes, are resized" in ran.out
    recipe = steps[0][0]
    kept: Any = Pretrained.from_pretrained(recipe.system["generator"]["classifier"]["weights"])
    assert isinstance(kept, ResizedClassifier) and kept.sample_shape == (1, 32, 32)
    given: Any = Pretrained.from_pretrained("mnist-classifier")
    x = torch.rand(2, 1, 32, 32) * 2 - 1
    small = torch.nn.functional.interpolate(x, (28, 28), mode="bilinear", antialias=True)
    assert kept(x).equal(given(small)) and kept.features(x).equal(given.features(small))
    for subject in ("mnist-classifier", "run/classifier"):
        page._bind(kept, subject, "by")
    with pytest.raises(WeightsError, match="explains another classifier than fashion-mnist-classifier"):
        page._bind(kept, "fashion-mnist-classifier", "by")
    Path("run/recipe.yaml").write_text(recipe.to_yaml())
    assert "was started with images of 32 pixels: leave --size out" in refusal(
        capsys, *line, "--out", "run", "--size", 64, "--resume"
    )
    assert run(capsys, *line, "--out", "run", "--resume").code == 0


def test_the_classifier_is_tried_on_the_images_first(steps: list[Any], capsys: Capture) -> None:
    Path("sum_net.py").write_text(
        NET.replace("self.linear(x.mean((2, 3)) - 0.5)", "self.linear(x.mean((2, 3))).detach()")
    )
    line = refusal(capsys, "explain", "train", "sum_net:Net", "pics", "--out", "run", "--size", "16")
    assert "no gradient of the classifier reaches its images" in line
    assert not steps and not Path("run").exists()
    line = refusal(capsys, "explain", "train", "mean_net:Net", "pics", "--out", "run", "--size", "32")
    assert "000000.png" in line and not steps


@TRAINS
def test_a_fifth_of_many_images_is_kept_for_the_page(steps: list[Any], capsys: Capture) -> None:
    write_folder([levels(100)], Path("many"))
    ran = run(capsys, "explain", "train", "mean_net:Net", "many", "--out", "run", "--size", "16", "--seed", 3)
    assert ran.code == 0 and "20 of the 100 images are kept for the page" in ran.out, ran
    (recipe, _, _), (_, explained, *_) = steps
    folder = {"type": "folder", "path": "many", "size": 16, "channels": 3}
    assert explained == {"type": "random_part", "data": folder, "low": 0.0, "high": 0.2, "seed": 3}
    assert recipe.data == {**explained, "low": explained["high"], "high": 1.0}


@TRAINS
def test_the_page_says_how_its_run_goes_on(steps: list[Any], capsys: Capture) -> None:
    write_folder([levels(100)], Path("many"))
    for out, more in (("run", []), ("with others", ["--against", "pics"])):
        line = ["explain", "train", "mean_net:Net", "many", "--out", out, "--size", "16", *more]
        assert run(capsys, *line).code == 0
        Path(out, "recipe.yaml").write_text(steps[-2][0].to_yaml())
    assert page.goes_on("run") == "--out run --resume"
    assert page.goes_on("with others") == "--out 'with others' --resume --against IMAGES"
    assert page.goes_on("run/weights") == "--out run --resume" and page.goes_on("mnist-styleex") == ""
    half = {"type": "random_part", "data": steps[-2][0].data, "low": 0.0, "high": 0.5}
    Path("run/recipe.yaml").write_text(dataclasses.replace(steps[-2][0], data=half).to_yaml())
    assert page.goes_on("run") == "--out run --resume --against IMAGES"


@TRAINS
def test_a_run_goes_on_wherever_it_lies_and_however_its_weights_are_named(
    steps: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(steps, capsys)
    Path("run").rename("weights")
    Path("weights/weights").mkdir()
    Path("link").symlink_to(Path("weights/weights"))
    assert page.goes_on("weights") == page.goes_on("weights/weights") == "--out weights --resume"
    lies = f"--out {Path('weights').resolve()} --resume"
    assert page.goes_on("link") == lies
    shutil.copytree("weights", "by genkit train", ignore=lambda *_: ["classifier"])
    assert page.goes_on("by genkit train") == "", "its recipe is no other, but it holds no classifier"
    monkeypatch.chdir("weights/weights")
    assert page.goes_on(".") == lies


OWN_PARTS = [{"high": 0.7}, {"low": 0.3}, {"low": 0.3, "high": 1.0}, {"low": 0.3, "high": 1.0, "seed": 4}]
"""Of a random_part that a person wrote, with and without what may be left out."""


@TRAINS
@pytest.mark.parametrize("own", OWN_PARTS)
def test_a_part_that_somebody_chose_is_not_taken_for_that_of_a_page(
    own: dict[str, float], steps: list[Any], capsys: Capture
) -> None:
    from genkit.training.data_record import data_record
    from genkit.training.run_folder import RunFolder

    write_folder([levels(200)], Path("many"))
    folder = {"type": "folder", "path": "many", "size": 16, "channels": 3}
    part = json.dumps({"type": "random_part", "data": folder, **own})
    line = ["explain", "train", "mean_net:Net", part, "--out", "run", "--size", 16]
    assert run(capsys, *line, "--against", "pics", "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    assert page.goes_on("run") == "--out run --resume --against IMAGES"
    assert "give it again" in refusal(capsys, *line, "--resume")
    assert run(capsys, *line, "--against", "pics", "--resume").code == 0
    RunFolder("run").data.write_text(json.dumps(data_record(steps[0][0].build_data())))
    line[3] = "many"
    for more in ([], ["--against", "pics"]):
        assert "the images have changed since run was begun (" in refusal(capsys, *line, *more, "--resume")


@TRAINS
@pytest.mark.parametrize("count", [100, 154, 303, 319, 1000])
def test_as_many_are_kept_as_was_said(count: int, steps: list[Any], capsys: Capture) -> None:
    from genkit.core.catalog import build

    write_folder([levels(count)], Path("many"))
    ran = run(capsys, "explain", "train", "mean_net:Net", "many", "--out", "run", "--size", "16", "-n", 10)
    assert ran.code == 0 and f"20 of the {count:,} images are kept" in ran.out, ran
    (recipe, _, _), (_, explained, *_) = steps
    assert [len(build(spec, kind="data")) for spec in (recipe.data, explained)] == [count - 20, 20]


@TRAINS
def test_options_left_out_on_resume_are_those_of_the_run(steps: list[Any], capsys: Capture) -> None:
    Path("grey_net.py").write_text(NET.replace("nn.Linear(3", "nn.Linear(1"))
    sys.modules.pop("grey_net", None)
    line = ["explain", "train", "grey_net:Net", "pics", "--out", "run"]
    how = ["--grey", "--mean", "0.5", "--std", "0.25", "--classes", "dark,light", "--size", "16", "--input-size", "8"]
    assert run(capsys, *line, *how, "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    assert run(capsys, *line, "--resume").code == 0
    assert steps[2][0].to_dict() == steps[0][0].to_dict()


@TRAINS
def test_what_a_classifier_of_one_size_took_is_told_before_it_is_tried(steps: list[Any], capsys: Capture) -> None:
    Path("flat_net.py").write_text(NET.replace("x.mean((2, 3)) - 0.5", "(x - 0.5).reshape(len(x), 3, 64).mean(2)"))
    sys.modules.pop("flat_net", None)
    line = ["explain", "train", "flat_net:Net", "pics", "--out", "run"]
    told = refusal(capsys, *line, "--size", 16, "--input-size", 32)
    assert "does not take images (2, 3, 16, 16), resized to 32 x 32: " in told
    assert run(capsys, *line, "--size", 16, "--input-size", 8, "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    assert "was started with images of 16 pixels: leave --size out" in refusal(capsys, *line, "--size", 32, "--resume")
    assert "whose --input-size is 8: leave" in refusal(capsys, *line, "--input-size", 32, "--resume")


@TRAINS
def test_other_images_than_those_of_the_run_are_told_first(steps: list[Any], capsys: Capture) -> None:
    from genkit.training.data_record import data_record
    from genkit.training.run_folder import RunFolder

    line = begun(steps, capsys)
    RunFolder("run").data.write_text(json.dumps(data_record(steps[0][0].build_data())))
    assert run(capsys, *line).code == 0
    write_folder([levels(5)], Path("five"))
    for other in ("five", "pics"):
        line[line.index("many" if other == "five" else "five")] = other
        told = refusal(capsys, *line)
        assert "the images have changed since run was begun (" in told and " new" not in told and " missing" in told
    write_folder([levels(100)[3:]], Path("fewer"))
    for path in sorted(Path("fewer").iterdir(), reverse=True):
        path.rename(path.with_name(f"{int(path.stem) + 3:06d}.png"))
    line[line.index("pics")] = "fewer"
    kept = set(data_record(steps[0][0].build_data())["files"])
    lost = [name for name in ("000000.png", "000001.png", "000002.png") if name in kept]
    told = refusal(capsys, *line)
    assert f"run was begun ({len(lost)} missing ({', '.join(lost)}))" in told, told


@pytest.mark.parametrize(
    ("net", "options", "reason"),
    [
        ("", "-n 5", "-n 5: at least 10 images are searched"),
        ("", "--against few", "8 images are too few"),
        ("", "--against dark", "the classifier takes all 15 images that are looked at of --against for class 1"),
        (
            "return self -> return 1 + 0.1 * self",
            "",
            "the classifier takes all 10 images that are looked at of DATA for class 1",
        ),
        ("torch.manual_seed(0) -> torch.manual_seed(torch.seed() % 2**32)", "", "gives other weights each time"),
        (
            "return self -> return torch.sigmoid(self.linear(x.mean((2, 3)) - 0.5)) + 0 * self",
            "",
            "leave its last sigmoid out",
        ),
        (
            "return self -> return (self.linear(x.mean((2, 3)) - 0.5) > 0).long().expand(-1, 2) if len(x) else self",
            "",
            "leave its last argmax",
        ),
        ("return self -> return torch.rand(len(x), 2) + 0 * self", "", "leave randomness out of its evaluation"),
        ("return self -> self.linear.weight += 1e-4\n        return self", "", "changes its own weights each time"),
        ("return self -> return 0 * (0.9 - x.mean((2, 3))[:, :1]).sqrt() + self", "", "not finite"),
    ],
)
def test_what_cannot_be_explained_is_refused_before_the_training(
    net: str, options: str, reason: str, steps: list[Any], capsys: Capture
) -> None:
    old, _, new = net.partition(" -> ")
    Path("other_net.py").write_text(NET.replace(old, new) if net else NET)
    sys.modules.pop("other_net", None)
    for name, images in (("few", levels(8)), ("dark", levels(90)[:30])):
        write_folder([images], Path(name))
    line = ["explain", "train", "other_net:Net", "pics", "--out", "run", "--size", "16", *options.split()]
    assert reason in refusal(capsys, *line)
    assert not steps and not Path("run").exists()


@TRAINS
def test_damaged_files_are_told_before_the_training_or_left_out_of_all(steps: list[Any], capsys: Capture) -> None:
    write_folder([levels(21)], Path("shown"))
    Path("shown/000004.png").write_bytes(b"")
    line = ["explain", "train", "mean_net:Net", "pics", "--against", "shown", "--out", "run", "--size", "16"]
    assert "000004.png: the file is empty; mend or remove it, or leave such out (--skip-bad" in refusal(capsys, *line)
    assert not steps
    assert run(capsys, *line, "--skip-bad").code == 0
    assert steps[1][1]["path"] == "shown" and steps[1][1]["skip_bad"]


def begun(steps: list[Any], capsys: Capture, *options: object) -> list[object]:
    """The line of a run in `run` that has begun with 100 images."""
    write_folder([levels(100)], Path("many"))
    line = ["explain", "train", "mean_net:Net", "many", "--out", "run", "--size", 16]
    assert run(capsys, *line, *options, "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    return [*line, "--resume"]


@TRAINS
@pytest.mark.parametrize("options", [["-n", 30], ["--against", "pics"], ["--steps", 9]])
def test_a_run_that_goes_on_keeps_the_images_that_it_was_begun_with(
    options: list[object], steps: list[Any], capsys: Capture
) -> None:
    line = begun(steps, capsys, "-n", 10)
    assert run(capsys, *line, *options).code == 0
    assert steps[2][0].data == steps[0][0].data
    explained = {"type": "folder", "path": "pics", "size": 16, "channels": 3} if "pics" in options else steps[1][1]
    assert steps[3][1] == explained
    Path("many").rename("moved")
    line[line.index("many")] = "moved"
    assert run(capsys, *line, *options).code == 0
    assert steps[4][0].data == {**steps[0][0].data, "data": {**steps[0][0].data["data"], "path": "moved"}}


@TRAINS
def test_a_run_begun_with_other_images_to_explain_asks_for_them(steps: list[Any], capsys: Capture) -> None:
    line = begun(steps, capsys, "--against", "pics")
    assert "run was started with --against, and trained on all of DATA: give it again" in refusal(capsys, *line)
    assert run(capsys, *line, "--against", "pics").code == 0
    assert [steps[k][0].data["path"] for k in (0, 2)] == ["many", "many"]


@TRAINS
def test_another_classifier_than_that_of_the_run_is_refused_at_once(steps: list[Any], capsys: Capture) -> None:
    line = begun(steps, capsys)
    told = refusal(capsys, *line, "--seed", 1)
    assert "run was begun with --seed 0; go on with what it was begun with, or choose another --out" in told
    Path("other_net.py").write_text(NET)
    sys.modules.pop("other_net", None)
    other = [*line[:2], "other_net:Net", *line[3:]]
    assert "run was started with another classifier, mean_net:Net: give that one" in refusal(capsys, *other)
    Path("mean_net.py").write_text(NET.replace("manual_seed(0)", "manual_seed(1)"))
    sys.modules.pop("mean_net")
    assert "another classifier or other weights of it: give the same one" in refusal(capsys, *line)
    Path("mean_net.py").write_text(NET.replace("- 0.5)", "- 0.6)"))
    sys.modules.pop("mean_net")
    assert "mean_net:Net answers otherwise than when this was made, with the same weights" in refusal(capsys, *line)
    assert len(steps) == 2


@TRAINS
def test_other_weights_of_an_architecture_are_refused_too(steps: list[Any], capsys: Capture) -> None:
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    for seed in (0, 1):
        torch.manual_seed(seed)
        save_file(squeezenet1_1(num_classes=2).state_dict(), f"{seed}.safetensors")
    write_folder([torch.rand(60, 3, 32, 32) * 2 - 1], Path("noise"))
    line = ["explain", "train", "torchvision:squeezenet1_1", "noise", "--out", "run", "--size", 32, "--steps", 7]
    torch.manual_seed(0)
    ran = run(capsys, *line, "--weights", "0.safetensors", "-n", 15)
    assert ran.code == 0, ran.err
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    told = refusal(capsys, *line, "--weights", "1.safetensors", "-n", 15, "--resume")
    assert "run was started with another classifier or other weights of it" in told
    assert run(capsys, *line, "--weights", "0.safetensors", "-n", 15, "--resume").code == 0
    Path("0.safetensors").unlink()
    assert run(capsys, *line, "-n", 15, "--resume").code == 0, "those in the run"
    line[2] = "torchvision:resnet18"
    told = refusal(capsys, *line, "-n", 15, "--resume")
    assert "run was started with another classifier, torchvision:squeezenet1_1: give that one" in told


@TRAINS
def test_a_run_that_was_moved_goes_on(steps: list[Any], capsys: Capture) -> None:
    from genkit.training.run_folder import RunFolder

    line = begun(steps, capsys)
    Path("elsewhere").mkdir()
    Path("run").rename("elsewhere/run")
    line[line.index("run")] = "elsewhere/run"
    assert run(capsys, *line, "--dry-run").code == 0 and len(steps) == 2
    assert run(capsys, *line).code == 0
    recipe = steps[2][0]
    assert recipe.name == "run"
    assert recipe.system["generator"]["classifier"]["weights"] == str(Path("elsewhere/run/classifier").absolute())
    assert not RunFolder("elsewhere/run").check(recipe, resume=True), "the run is of this recipe"


@TRAINS
def test_a_page_that_will_be_replaced_is_told_before_the_training(steps: list[Any], capsys: Capture) -> None:
    line = begun(steps, capsys)
    assert "will be replaced" not in run(capsys, *line).out
    Path("run/explanation").mkdir()
    Path("run/explanation/explanation.json").write_text("{}")
    for more in (("--dry-run",), ()):
        assert "the page in run/explanation will be replaced" in run(capsys, *line, *more).out


@TRAINS
def test_a_dry_run_writes_nothing(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--out", "run", "--size", "16", "--dry-run"]
    before = sorted(Path().rglob("*.*"))
    ran = run(capsys, *line)
    assert ran.code == 0 and "run (nothing is written)" in ran.out and "20,000" in ran.out, ran
    assert not steps and not Path("run").exists()
    assert [p for p in sorted(Path().rglob("*.*")) if p.suffix != ".pyc"] == [p for p in before if p.suffix != ".pyc"]


def test_a_search_that_was_stopped_goes_on_with_resume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped(*_: object) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr("genkit.cli.explaining.page.explainer", lambda *_: None)
    monkeypatch.setattr("genkit.cli.explaining.page.search", stopped)
    with pytest.raises(Interrupted, match=r"stopped by SIGINT; go on with --resume: what is trained stays"):
        explain_train._explain("x", None, tmp_path, None, None, 0, 1)


@TRAINS
def test_an_image_that_the_classifier_cannot_read_is_named(steps: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.core.errors import BadState, TrainingError, WeightsError

    told = ["critic loss is not finite"]

    def fails(*_: object) -> None:
        raise TrainingError(f"{told[0]}; lower a rate") from BadState(told[0])

    monkeypatch.undo()
    monkeypatch.setattr(explain_train, "train_once", fails)
    recipe: Any = SimpleNamespace(name="x")

    class Images:
        name, files = "pics", ()

        def __len__(self) -> int:
            return 400

        def rows(self, k: torch.Tensor) -> torch.Tensor:
            return levels(400)[k]

    class Net(torch.nn.Module):
        device, dark = torch.device("cpu"), 2.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            m = x.mean((1, 2, 3))[:, None]
            return torch.cat([m, torch.where(m > self.dark, m * torch.nan, -m)], 1)

    net: Any = Net()
    with pytest.raises(TrainingError, match="critic loss is not finite; begin again with another --seed"):
        explain_train._train(recipe, Path("run"), False, net, Images())
    net.dark = levels(400)[300].mean().item()
    with pytest.raises(WeightsError, match=r"not finite .* for image 301 of pics, counted from 0"):
        explain_train._train(recipe, Path("run"), False, net, Images())
    net.dark, told[0] = 2.0, "the generator's loss is not finite (reconstruction 0.3, agreement nan)"
    with pytest.raises(WeightsError, match="for an image that the generator made"):
        explain_train._train(recipe, Path("run"), False, net, Images())


@TRAINS
def test_a_classifier_of_genkit_is_kept_with_the_run(steps: list[Any], capsys: Capture) -> None:
    from genkit.classifiers.conv_classifier import Classifier

    write_folder([x := torch.rand(60, 3, 16, 16) * 2 - 1], Path("noise"))
    for seed in (0, 1):
        torch.manual_seed(seed)
        judge = Classifier(16, 3, 2, width=4).eval()
        with torch.no_grad():
            judge.head.bias -= judge(x).median(0).values
        judge.save_pretrained(f"judge{seed}")
    line = ["explain", "train", "judge0", "noise", "--out", "run", "-n", 15]
    assert run(capsys, *line, "--steps", 7).code == 0
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    Path("judge0").rename("moved")
    line[2] = "moved"
    assert run(capsys, *line, "--resume").code == 0, "the same weights elsewhere"
    assert steps[2][0].to_dict()["system"] == steps[0][0].to_dict()["system"]
    line[2] = "judge1"
    assert "another classifier or other weights of it: give the same one" in refusal(capsys, *line, "--resume")


@TRAINS
def test_files_of_others_are_left_alone(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--size", 16, "--out", "mine"]
    for name in (
        "explanation/notes.txt",
        "classifier/config.json",
        "classifier/model.safetensors",
        "checkpoints",
        "classifier",
        "classifier/notes.txt",
        "notes.txt",
        "report.html",
        "weights/model.safetensors",
        "data.json",
    ):
        path = Path("mine") / name
        path.parent.mkdir(parents=True)
        path.write_text('{"type": "their own"}')
        assert "choose another --out" in refusal(capsys, *line)
        assert path.read_text() == '{"type": "their own"}' and not steps
        path.unlink()
        if path.parent != Path("mine"):
            path.parent.rmdir()
        Path("mine").rmdir()
    Path("mine").mkdir()
    Path("mine/.DS_Store").write_text("mine")
    assert run(capsys, *line).code == 0 and Path("mine/.DS_Store").read_text() == "mine"


@TRAINS
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"system": None}, "recipe.yaml cannot be read"),
        ({"system": {"type": "gan_training"}}, "run is a run of genkit train, with which this cannot go on"),
        ({"stages": {}}, "run is a run of genkit train"),
        ({"temperature": "abc"}, "recipe.yaml cannot be read"),
        ({"classifier": []}, "recipe.yaml cannot be read"),
        ({"data": {"type": "random_part"}}, "recipe.yaml cannot be read"),
    ],
)
def test_a_recipe_that_this_cannot_go_on_with(
    steps: list[Any], capsys: Capture, change: dict[str, Any], told: str
) -> None:
    line = begun(steps, capsys)
    tree = steps[0][0].to_dict()
    for key, value in change.items():
        if key in ("temperature", "classifier"):
            tree["system"]["generator"][key] = value
        elif value is None:
            del tree[key]
        else:
            tree[key] = value
    Path("run/recipe.yaml").write_text(json.dumps(tree))
    assert told in refusal(capsys, *line)


@TRAINS
@pytest.mark.parametrize("damage", [None, "[]", "{"])
def test_a_run_whose_classifier_is_gone_says_so(steps: list[Any], capsys: Capture, damage: str | None) -> None:
    line = begun(steps, capsys)
    if damage:
        Path("run/classifier/config.json").write_text(damage)
    else:
        shutil.rmtree("run/classifier")
    assert "run/classifier, the classifier of the run, is missing or damaged; put it back" in refusal(capsys, *line)


ODD = """
import os
import torch
from mean_net import Net

class State(Net):
    def get_extra_state(self):
        return {"labels": ["a", "b"]}
    def set_extra_state(self, state):
        pass

class Sparse(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.eye(3).to_sparse())
        self.register_buffer("small", torch.ones(2).to(torch.float8_e4m3fn))

class Lazy(Net):
    def __init__(self):
        super().__init__()
        self.more = torch.nn.LazyLinear(2)

class Batch(Net):
    def forward(self, x):
        return super().forward(x - x.mean(0) + 0.5)

class Many(Net):
    def forward(self, x):
        return super().forward(x).expand(-1, 10_001)

def careless():
    os.chdir("/")
    torch.set_grad_enabled(False)
    return Net()
"""


@TRAINS
@pytest.mark.parametrize(
    ("make", "told"),
    [
        ("State", ""),
        ("Sparse", ""),
        ("careless", ""),
        ("Lazy", "odd_net:Lazy gives a lazy module, whose weights are not made yet: load some"),
        ("Batch", "odd_net:Batch answers otherwise when images come one by one"),
        ("Many", "an explanation is of 2 to 10,000 classes, and odd_net:Many has 10,001"),
    ],
)
def test_odd_modules(steps: list[Any], capsys: Capture, make: str, told: str) -> None:
    Path("odd_net.py").write_text(ODD)
    for name in ("odd_net", "mean_net"):
        sys.modules.pop(name, None)
    line = ["explain", "train", f"odd_net:{make}", "pics", "--size", 16, "--out", "run"]
    if told:
        assert told in refusal(capsys, *line) and not steps and not Path("run").exists()
        return
    assert run(capsys, *line).code == 0 and torch.is_grad_enabled()
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    assert run(capsys, *line, "--resume").code == 0


@TRAINS
def test_a_start_that_was_killed_is_begun_again_and_a_classifier_of_others_is_left_alone(
    steps: list[Any], capsys: Capture
) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--size", 16, "--out", "run"]
    assert run(capsys, *line).code == 0 and {p.name for p in Path("run").iterdir()} == {"classifier"}
    before = {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()}
    assert run(capsys, *line).code == 0, "no recipe yet: the same is begun again"
    Path("run/classifier").rename("run/.classifier.tmp")
    Path("run/.classifier.tmp/config.json").write_bytes(b"half")
    Path("run/classifier").mkdir()
    assert run(capsys, *line).code == 0 and {p.name for p in Path("run").iterdir()} == {"classifier"}
    assert {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()} == before
    assert run(capsys, *line, "--mean", "0.3").code == 0, "another one, where no run began"
    assert json.loads(Path("run/classifier/config.json").read_text())["mean"] == [0.3]
    Path("run/classifier/explained.json").unlink()
    before = {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()}
    for more in ((), ("--dry-run",)):
        assert "run/classifier is there and no run; choose another --out" in refusal(capsys, *line, *more)
    assert {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()} == before


@TRAINS
@pytest.mark.parametrize(
    ("name", "text"), [("explained.json", "notes"), ("start.json", '{"mine": 1}'), ("data.json", '{"fingerprint": 1}')]
)
def test_files_like_those_of_a_run_are_left_alone(steps: list[Any], capsys: Capture, name: str, text: str) -> None:
    Path("run").mkdir()
    Path("run", name).write_text(text)
    line = ["explain", "train", "mean_net:Net", "pics", "--size", 16, "--out", "run"]
    assert f"run holds {name} and no r" in refusal(capsys, *line) and not steps
    assert Path("run", name).read_text() == text and len(list(Path("run").iterdir())) == 1


@TRAINS
def test_a_second_process_writes_nothing(steps: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while another one begins a run in the folder, nor once that has begun it."""
    line = ["explain", "train", "mean_net:Net", "pics", "--size", 16, "--out", "run"]
    assert run(capsys, *line).code == 0
    before = {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdout.readline()
        assert "another process is training in run" in refusal(capsys, *line, "--mean", "0.3")
        other.communicate("")
    assert {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()} == before
    honest = explain_train.ExplainRun.check_place

    def meanwhile(self: Any) -> None:
        honest(self)
        Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())

    monkeypatch.setattr(explain_train.ExplainRun, "check_place", meanwhile)
    assert "run holds a run now, begun by another process" in refusal(capsys, *line, "--mean", "0.3")
    assert {p.name: p.read_bytes() for p in Path("run/classifier").iterdir()} == before


@TRAINS
def test_a_run_is_not_begun_inside_another(steps: list[Any], capsys: Capture) -> None:
    line = ["explain", "train", "mean_net:Net", "pics", "--size", 16, "--out"]
    for name in ("weights", "explanation"):
        path = Path("other") / name / "config.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        assert "holds config.json and no run" in refusal(capsys, *line, path.parent)
    assert "holds mean_net.py and no run" in refusal(capsys, *line, ".")
    Path("other/recipe.yaml").write_text("name: other")
    for command in (line, ["sample", "mnist-directions", "--out"]):
        told = refusal(capsys, *command, "other/weights/sub")
        assert "lies among the files of the run" in told and "other, which it empties; choose another place" in told
    assert not steps and not Path("classifier").exists()
    Path("recipe.yaml").write_text("name: a recipe of mine that is no run")
    assert run(capsys, *line, "run").code == 0


def labelled(names: Sequence[str]) -> None:
    """Bright images in folders: mean_net decides by how bright they are."""
    x = levels(40)
    for name, part in zip(names, (x[:20], x[20:]), strict=True):
        write_folder([part], Path("labelled") / name)


@TRAINS
def test_images_of_one_label_say_little_of_the_classifier(steps: list[Any], capsys: Capture) -> None:
    for name, part in zip(("dark", "light"), (levels(40), levels(4)), strict=True):
        write_folder([part], Path("labelled") / name)
    some = "{type: part, data: {type: folder, path: labelled, size: 16, channels: 3}, stop: 40}"
    line = ["explain", "train", "mean_net:Net", some, "--size", 16, "--dry-run", "--out", "run"]
    ran = run(capsys, *line, "--classes", "dark,light")
    assert "is right on 50 % of 40 labelled images, all of which are labelled dark\n" in ran.out, ran
    assert "see whether --classes" not in ran.out


@TRAINS
def test_labels_that_are_no_classes_are_told(steps: list[Any], capsys: Capture) -> None:
    x = levels(60)
    for name, part in zip(("cat", "dog", "owl"), x.split(20), strict=True):
        write_folder([part], Path("labelled") / name)
    ran = run(capsys, "explain", "train", "mean_net:Net", "labelled", "--size", 16, "--dry-run", "--out", "run")
    assert "no label of the images (cat, dog, owl) is a class of the classifier (class 0, class 1), so" in ran.out, ran


@TRAINS
def test_how_often_the_classifier_is_right_is_told(steps: list[Any], capsys: Capture) -> None:
    labelled(["dark", "light"])
    line = ["explain", "train", "mean_net:Net", "labelled", "--size", 16, "--dry-run", "--out", "run"]
    for names in ("dark,light", "light,dark"):
        ran = run(capsys, *line, "--classes", names)
        assert ran.code == 0, ran
        order = "it would be on 100 % if its outputs stood for light, dark in this order: see whether --classes has"
        told = {order in ran.out, "see whether --classes has the order" in ran.out}
        wrong = "is right on 0 % of 40" in ran.out
        assert told == {wrong} and wrong != ("is right on 100 % of 40" in ran.out), ran.out
    assert (
        "% of 40 labelled images, its classes taken to be dark, light (--classes names them so)"
        in run(capsys, *line).out
    )
    assert "is right on 100 % of 40 labelled images\n" in run(capsys, *line, "--classes", "Light,DARK").out
    some, none = (run(capsys, *line, "--classes", names).out for names in ("cat,dark", "cat,dog"))
    assert "100 % of 20 labelled images; labels left out, which are none of cat, dark: light" in some
    wrong = run(capsys, *line, "--classes", "dark,light").out
    assert "see whether --classes has the order" in wrong and "see whether --classes names" in some
    assert "warning: no label of the images (dark, light) is a class of the classifier (cat, dog)" in none
    assert "is right on" not in none


def test_another_order_of_three_classes_is_told_though_one_is_met_by_chance() -> None:
    """Of three, one in its place is a third right: no less than one label for all would be."""
    wanted = torch.arange(3).repeat(20)
    logits = torch.eye(3)[torch.tensor([2, 1, 0])[wanted]]
    labels = SimpleNamespace(labels=Labels(3, names=("0", "1", "7")))
    data: Any = SimpleNamespace(conditions=labels, condition=lambda rows: {"label": wanted[rows]})
    found = right_on(logits, ["0", "1", "7"], data, torch.arange(60))
    assert found and found.right == pytest.approx(1 / 3)
    assert "would be on 100 % if its outputs stood for 7, 1, 0 in this order: see whether --classes" in found.remark
    assert not right_on(torch.eye(3)[wanted], ["0", "1", "7"], data, torch.arange(60)).remark  # type: ignore[union-attr]


def lopsided() -> None:
    x = levels(600)
    write_folder([x[:300]], Path("rare/dark"))
    write_folder([x[-25:]], Path("rare/light"))


RARE = ["explain", "train", "mean_net:Net", "rare", "--size", 16, "--classes", "light,dark", "-n", 40, "--out", "run"]


@TRAINS
def test_a_class_that_is_rare_is_told_and_shown_as_often_on_request(steps: list[Any], capsys: Capture) -> None:
    lopsided()
    ran = run(capsys, *RARE, "--dry-run")
    assert ran.code == 0 and "takes 8.2 % of the images for light, so little is learned of it; --balanced" in ran.out
    ran = run(capsys, *RARE, "--balanced")
    assert ran.code == 0 and "so little is learned" not in ran.out, ran
    Path("run/recipe.yaml").write_text(steps[0][0].to_yaml())
    ran = run(capsys, *RARE, "--resume")
    assert ran.code == 0 and [steps[k][0].train.balanced for k in (0, 2)] == [True, True], ran
    assert "pics has no classes" in refusal(capsys, *swapped(RARE[:-1], "rare", "pics"), "other", "--balanced")
    write_folder([levels(600)[-25:]], Path("one/dark"))
    assert "--balanced" not in run(capsys, *swapped(RARE, "rare", "one"), "--dry-run").out
    assert run(capsys, *swapped(RARE, "run", "plain")).code == 0 and not steps[4][0].train.balanced


@TRAINS
def test_no_image_of_the_page_is_trained_on_however_classes_are_shown(steps: list[Any], capsys: Capture) -> None:
    from genkit.core.catalog import build

    lopsided()
    assert run(capsys, *RARE, "--balanced").code == 0
    taught, shown = (build(spec, kind="data").files for spec in (steps[0][0].data, steps[1][1]))
    assert len(set(taught)) == len(taught) == 260 and len(shown) == 65 and not set(taught) & set(shown)


def swapped(line: list[Any], old: str, new: str) -> list[Any]:
    return [new if word == old else word for word in line]


@TRAINS
def test_a_generator_that_needs_more_training_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from genkit.explain.checks import Untrained

    def untrained(*_: object) -> None:
        raise Untrained("the generator looks untrained")

    monkeypatch.setattr("genkit.cli.explaining.page.explainer", lambda *_: None)
    monkeypatch.setattr("genkit.cli.explaining.page.search", untrained)
    with pytest.raises(Untrained, match="the same command with --resume --steps 800 goes on from here"):
        explain_train._explain("x", None, tmp_path, None, None, 0, 400)


@TRAINS
def test_a_run_that_goes_on_keeps_its_temperature(
    steps: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = begun(steps, capsys)
    began = steps[0][0].system["generator"]["temperature"]
    monkeypatch.setattr("genkit.classifiers.fitness.temperature_for", lambda logits: 77)
    assert run(capsys, *line, "--steps", 9).code == 0
    assert steps[-2][0].system["generator"]["temperature"] == began != 77


@TRAINS
def test_fewer_steps_than_were_done_are_refused_by_their_option(steps: list[Any], capsys: Capture) -> None:
    line = begun(steps, capsys)
    Path("run/checkpoints/step-00000400").mkdir(parents=True)
    told = refusal(capsys, *line, "--resume", "--steps", 300)
    assert "run has done 400 iterations already: leave --steps out, or give more" in told


@TRAINS
def test_what_names_no_classifier_is_told_before_its_options(steps: list[Any], capsys: Capture) -> None:
    for name in ("mean_net/Net:make", "nothere"):
        told = refusal(capsys, "explain", "train", name, "pics", "--out", "run", "--mean", "0.5")
        assert name in told and "code of yours is written package.module:factory, such as my.net:make" in told
    told = refusal(capsys, "explain", "train", "torchvision:resnet19", "pics", "--out", "run")
    assert "torchvision has no 'resnet19'" in told and "did you mean" in told
    told = refusal(capsys, "explain", "train", "mnist-classifier", "pics", "--out", "run", "--weights", "a.safetensors")
    assert "mnist-classifier has its own" in told
    Path("meta_net.py").write_text(NET + "\n\ndef make():\n    return Net().to('meta')\n")
    told = refusal(capsys, "explain", "train", "meta_net:make", "pics", "--out", "run")
    assert "meta_net:make gives a module on the meta device, whose weights have no values" in told
    assert not steps and not Path("run").exists()


@TRAINS
def test_images_that_changed_since_are_told(steps: list[Any], capsys: Capture) -> None:
    import json

    from genkit.core.catalog import build
    from genkit.training.data_record import data_record

    line = begun(steps, capsys)
    record = data_record(build(steps[0][0].data, kind="data"))
    Path("run/data.json").write_text(json.dumps(record))
    assert run(capsys, *line).code == 0
    write_folder([levels(100).flip(0)], Path("many"))
    told = refusal(capsys, *line)
    assert "the images have changed since run was begun (" in told and "choose another --out" in told


@TRAINS
def test_a_changed_image_of_those_kept_for_the_page_is_told_too(steps: list[Any], capsys: Capture) -> None:
    from genkit.core.catalog import build

    line = begun(steps, capsys)
    held: Any = build(steps[1][1], kind="data")
    assert Path("run/classifier/explained.json").is_file() and run(capsys, *line).code == 0
    name = held.files[0]
    Path("many", name).write_bytes(Path("pics/000003.png").read_bytes())
    assert f"the images have changed since run was begun (1 changed ({name}))" in refusal(capsys, *line)
    assert run(capsys, *line, "--against", "pics").code == 0, "others are explained"
