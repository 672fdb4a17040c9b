"""No command replaces what it reads, writes among it, or writes two results to one place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import pytest

from genkit.cli.places import Place, Writing
from genkit.core.catalog import shipped
from genkit.data.digits import digits
from genkit.images.pixels import write_folder
from tests.cli.console import refusal, run
from tests.cli.test_parameters import commands, parameters

Capture = pytest.CaptureFixture[str]

WORDS = {
    *(
        "sample label",
        "sample conditions",
        "sample steps",
        "evaluate steps",
        "evaluate metrics",
        "evaluate k",
        "import layout",
        "import part",
        "edit conditions",
        "edit sweeps",
        "edit moves",
        "directions space",
        "refine sampling_steps",
        "explain to",
    ),
    *("train overrides", "list kind", "info subject", "cite subject"),
    *("push repository", "push licence", "push datasets", "pull repository", "ui host"),
    *(f"{name} device" for name, parameter in parameters() if parameter.name == "device"),
}
"""Texts that name no file, or are of commands that write none; they are not looked for on the disk."""


@pytest.fixture
def here(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pics/1, pics/2, p.zip, a run and a link to the zip."""
    monkeypatch.chdir(tmp_path)
    for name in ("1", "2"):
        write_folder([digits().x[:3]], tmp_path / "pics" / name)
    shutil.make_archive("p", "zip", "pics")
    os.symlink("p.zip", "link.zip")
    shutil.copytree(finished, "run")
    for name in ("page/explanation.json", "page/class-0.png", "classifier/explained.json"):
        Path("run", name).parent.mkdir(exist_ok=True)
        Path("run", name).write_text("{}")
    Path("bench.json").write_text('{"against": "pics", "entries": [{"name": "a", "source": "digits"}]}')
    Path("ckpt.safetensors").touch()
    return tmp_path


REFUSED = [
    ("outliers p.zip --out p.zip", "--out p.zip is an input (A)"),
    ("outliers pics --out o.png --grid o.png", "--out and --grid go to o.png"),
    ("outliers pics --out o.png --grid ./x/../o.png", "--out and --grid go to"),
    ("outliers pics --out o.csv --grid o.csv/g.png", "--out and --grid go to"),
    ("outliers pics --run run --grid pics/1/000000.png", "lies in pics, which is read (A)"),
    ("outliers digits --run run --out run/weights/config.json", "is a part of run, which is read (--against)"),
    ("evaluate p.zip --against digits --json p.zip", "--json p.zip is an input (A)"),
    ("evaluate digits --against p.zip --json p.zip", "--json p.zip is an input (--against)"),
    ("evaluate link.zip --against digits --json p.zip", "is an input (A)"),
    ("evaluate p.zip --against digits --json link.zip", "is an input (A)"),
    ("evaluate pics --against digits --json pics/1/000000.png", "lies in pics, which is read"),
    ("evaluate pics --against digits --json pics/new.json", "lies in pics, which is read"),
    ("evaluate run --against digits --json run/recipe.yaml", "is a part of run, which is read"),
    ("evaluate run --against digits --json run/metrics.jsonl", "is a part of run, which is read"),
    ("evaluate run --against digits --json run/scores.json", "is a part of run, which is read"),
    ("evaluate run/weights --against digits --json run/weights/README.md", "is a part of run/weights, which is read"),
    ("outliers digits --run run --out o.csv --grid run/grids/new.png", "is a part of run, which is read (--against)"),
    ("sample run --out run/checkpoints", "is a part of run, which is read (WEIGHTS)"),
    ("sample run --out run/grids", "is a part of run, which is read (WEIGHTS)"),
    ("evaluate digits --against digits/test --extractor-weights p.zip --json p.zip", "(--extractor-weights)"),
    ("evaluate mnist-classifier --metrics accuracy --against {type:PATH} --json pics/x", "lies in pics"),
    ("stats pics --out pics/s.npz", "lies in pics"),
    ("likelihood mnist-exemplar-vae --against pics --json pics/l.json", "(--against)"),
    ("knn mnist-exemplar-vae --train digits --test p.zip --json p.zip", "(--against)"),
    ("sample run --out run", "--out run is an input (WEIGHTS)"),
    ("sample run --like pics/1/000000.png --out pics/1", "000000.png is, which is read and would be replaced"),
    ("sample run --between p.zip pics/1/000000.png --out pics/1", "would be replaced (--between)"),
    ("exemplars mnist-exemplar-vae --replace pics --out pics/mine", "lies in pics"),
    ("exemplars run --extend digits --out run", "is an input"),
    ("evaluate weights --against digits --json run/metrics.jsonl", "is a file of the run "),
    ("evaluate weights --against digits --json run/classifier/explained.json", "is a file of the run "),
    ("evaluate weights --against digits --json ckpt.safetensors", "is a file of another kind, which would be replaced"),
    ("explain weights pics/1/000000.png --to a --grid run/page/class-0.png", "is a file of the page in "),
    ("evaluate weights --against digits --json run/page/explanation.json", "is a file of the page in "),
    ("edit run --extend digits --out run/weights", "--out run/weights is a part of run, which is read (WEIGHTS)"),
    ("export run --to diffusers --out run", "is an input"),
    ("export run --to onnx --out run", "is an input"),
    ("bench bench.json --out .", "bench.json is, which is read and would be replaced"),
    ("bench bench.json --out pics/b", "lies in pics, which is read (against)"),
    ("train digits/wgan_ratio_clipping {data:PATH} --out pics/run", "lies in pics, which is read (data)"),
    ("train digits/wgan_ratio_clipping --from run --out run", "is an input (--from)"),
    ("import diffusers/pipeline run/samples --out run/samples/new", "(CHECKPOINT)"),
    ("train digits/wgan_ratio_clipping --out new.html", "names a file, and a folder is written; leave out .html"),
    ("edit run --direction 1=2 --out strip.pdf", "names a file, and a folder is written; leave out .pdf"),
]
SPECS = {
    "{type:PATH}": "{type: folder, path: pics, size: 28, channels: 1}",
    "{data:PATH}": "data={type: folder, path: pics, size: 28, channels: 1}",
}


def words(line: str) -> list[str]:
    return [SPECS.get(word, word) for word in line.split()]


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_what_is_read_stays(line: str, message: str, here: Path, capsys: Capture) -> None:
    (here / "run" / "samples").mkdir(exist_ok=True)
    before = content(here)
    assert message in refusal(capsys, *words(line))
    assert content(here) == before


def test_places_beside_what_is_read_are_free(here: Path, capsys: Capture) -> None:
    """Results of a run may lie in it, and a number or a name that happens to be a folder's is no input."""
    for line in (
        "evaluate pics --against digits -n 6 --metrics fd --json scores.json",
        "evaluate pics --against digits -n 6 --metrics fd --json scores.json",
        "sample run -n 2 --label 1 --out run/mine",
        "sample run -n 2 --label 1 --out 1",
        "sample run -n 2 --label 1 --out 1",
    ):
        ran = run(capsys, *words(line))
        assert ran.code == 0, (line, ran.err)


def test_every_command_that_writes_is_watched() -> None:
    for name, command in commands():
        writes = any(isinstance(parameter.type, Place) for parameter in command.params)
        assert writes == isinstance(command, Writing), name


def test_every_text_is_an_input_or_known_to_be_a_word() -> None:
    texts = {
        f"{name} {parameter.name}"
        for name, parameter in parameters()
        if isinstance(parameter.type, click.types.StringParamType)
    }
    assert texts == WORDS


def test_a_home_that_the_shell_left_as_it_is(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "sample", "digits-wgan-ratio-clipping", "-n", 1, "--out=~/drawn").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["me"] and (tmp_path / "me/drawn/000000.png").is_file()
    said = refusal(capsys, "evaluate", "~/drawn", "--metrics", "fd", "--against", "~/none")
    assert f"{tmp_path / 'me/none'} does not exist" in said


@pytest.mark.parametrize("written", ["path", "base", "weights", "override"])
def test_a_home_in_a_recipe(written: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    write_folder([digits().x[:8]], tmp_path / "me/photos")
    shutil.copytree(shipped("weights") / "fashion-mnist-gan", tmp_path / "me/gan")
    shipped_one, photos = "base: fashion_mnist/directions", "{type: folder, path: ~/photos, size: 28, channels: 1}"
    text = {
        "path": f"{shipped_one}\ndata: {photos}\n",
        "base": "base: ~/base\n",
        "weights": "base: ~/base\nstages: {gan: {weights: ~/gan}}\n",
        "override": f"{shipped_one}\n",
    }
    (tmp_path / "me/base.yaml").write_text(text["path"])
    recipe = tmp_path / "of_my_own.yaml"
    recipe.write_text(text[written])
    overrides = [f"data={photos}"] if written == "override" else []
    done = run(capsys, "train", recipe, *overrides, "--dry-run")
    assert done.code == 0 and "8 images" in done.out, done
