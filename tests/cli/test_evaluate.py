"""genkit evaluate and genkit stats from the command line: tables, files and one-line refusals."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from genkit.classifiers.conv_classifier import Classifier
from genkit.cli.main import main
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator
from genkit.images.pixels import write_folder
from tests.shared import shared


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def judge(tmp_path):
    torch.manual_seed(0)
    return str(Classifier(size=8, channels=3, width=4, classes=3).save_pretrained(tmp_path / "judge"))


def folder(path, n=12, seed=0, size=8):
    rng = torch.Generator().manual_seed(seed)
    write_folder([torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=rng)], path)
    return str(path)


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys, *arguments):
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.startswith("genkit: ") and err.count("\n") == 1, err
    return err


def test_table_and_json(capsys, tmp_path, judge):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", seed=1)
    arguments = ["--metrics", "fd,kd,is,pr,dc", "-n", 12, "--extractor", judge, "--json", tmp_path / "out.json"]
    code, out, _ = run(capsys, "evaluate", a, "--against", b, *arguments)
    assert code == 0
    for text in ("FD/judge", "KD/judge", "CS/judge", "precision/judge", "coverage/judge", "sha256", "rank", "warning:"):
        assert text in out
    assert "FID" not in out and "12 samples are too few for a verdict" in " ".join(out.split())
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found["values"]) == {"fd", "kd", "is", "precision", "recall", "density", "coverage"}
    assert found["extractor"]["name"] == "judge" and found["n"] == 12 and found["seed"] == 0


def test_a_run_on_points_is_scored_by_its_modes(capsys, points, tmp_path):
    arguments = ["evaluate", points, "-n", 50, "--json", tmp_path / "out.json"]
    code, out, _ = run(capsys, *arguments, "--against", "gaussians8")
    assert code == 0 and "modes/points" in out and "good_samples/points" in out
    assert {"fd", "modes", "good_samples", "rarest_mode"} <= set(
        json.loads((tmp_path / "out.json").read_text())["values"]
    )
    asked = [*arguments, "--against", "swiss_roll", "--metrics", "modes"]
    assert "known centres" in refused(capsys, *asked)


def test_points_that_were_drawn_are_scored_as_the_weights_were(capsys, points, tmp_path):
    drawn, asked = tmp_path / "drawn", ["--against", "gaussians8", "-n", 50, "--json", tmp_path / "out.json"]
    assert run(capsys, "sample", points, "-n", 50, "--out", drawn)[0] == 0
    values = []
    for a in (points, drawn, drawn / "points.npy"):
        code, out, err = run(capsys, "evaluate", a, *asked)
        assert code == 0 and "good_samples/points" in out, err
        values.append(json.loads((tmp_path / "out.json").read_text())["values"])
    assert values[1] == values[2] and values[0] == pytest.approx(values[1], rel=1e-4)
    assert run(capsys, "stats", drawn, "--out", tmp_path / "drawn.npz")[0] == 0
    assert run(capsys, "evaluate", "gaussians8", "--against", tmp_path / "drawn.npz", "-n", 50)[0] == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2), np.int64), "holds int64 (3, 2); points are floats (N, D)"),
        (np.zeros((3, 1, 2, 2), np.float32), "points are floats (N, D)"),
        (np.zeros((0, 2), np.float32), "points are floats (N, D)"),
        (np.array([[0, 1], [np.nan, 0]], np.float32), "point 1 is not finite"),
        (np.array([[0, 1], [1e300, 0]]), "point 1 is not finite"),
        (np.array([[None, 1]], object), "is no readable .npy file"),
    ],
)
def test_other_arrays_are_no_points(capsys, tmp_path, array, message):
    np.save(tmp_path / "p.npy", array)
    assert message in refused(capsys, "evaluate", tmp_path / "p.npy", "--against", "gaussians8", "-n", 50)


def test_statistics_on_either_side(capsys, tmp_path, judge):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", seed=1)
    code, out, _ = run(capsys, "stats", b, "--out", tmp_path / "b.npz", "--extractor", judge)
    assert code == 0 and "12 samples" in out and "sha256" in out
    common = ["--metrics", "fd", "-n", 12, "--extractor", judge, "--json", tmp_path / "o.json"]
    values = []
    for sides in ((a, b), (a, tmp_path / "b.npz"), (tmp_path / "b.npz", a)):
        assert run(capsys, "evaluate", sides[0], "--against", sides[1], *common)[0] == 0
        values.append(json.loads((tmp_path / "o.json").read_text())["values"]["fd"])
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)


def test_a_name_is_no_markup(capsys, tmp_path, judge, monkeypatch):
    folder(tmp_path / "[" / "x]")
    monkeypatch.chdir(tmp_path)
    arguments = ["[/x]", "--against", "[/x]", "--metrics", "fd", "-n", 12, "--extractor", judge]
    code, out, err = run(capsys, "evaluate", *arguments)
    assert code == 0 and "[/x] against [/x]" in out, err


def test_more_features_than_memory_are_refused(capsys, tmp_path, judge, monkeypatch):
    """At once where no features could be so small, else after the first batch has told how large they are."""
    GAN(MLPGenerator(3, 2, 4, 1)).save_pretrained(tmp_path / "weights")
    command = ["evaluate", tmp_path / "weights", "--against", "gaussians8", "--metrics", "fd", "-n", 10**13]
    line = refused(capsys, *command)
    assert "features of 10,000,000,000,000 samples find no room in memory; take at most" in line
    monkeypatch.setattr("genkit.evaluation.scoring.SMALLEST", 1e-9)
    line = refused(capsys, *command)
    assert "features of 10,000,000,000,000 samples need" in line and "ask for fewer" in line


def test_a_bomb_of_zeros_is_no_statistics(capsys, tmp_path, judge):
    np.savez_compressed(tmp_path / "bomb.npz", mu=np.zeros(3000), sigma=np.zeros((3000, 3000)))
    common = ["--against", tmp_path / "bomb.npz", "--metrics", "fd", "-n", 12, "--extractor", judge]
    assert "bytes that unpack to 72,0" in refused(capsys, "evaluate", folder(tmp_path / "a"), *common)


def test_refusals_are_one_line(capsys, tmp_path, judge):
    a = folder(tmp_path / "a")
    common = ["--against", a, "-n", 12, "--extractor", judge]
    assert "did you mean 'fd'" in refused(capsys, "evaluate", a, *common, "--metrics", "fdx")
    assert "does not exist" in refused(capsys, "evaluate", tmp_path / "no", *common)
    assert "no extractor" in refused(capsys, "evaluate", a, "--against", a, "--extractor", "nothing")
    assert "digits" in refused(capsys, "evaluate", "digit", *common)
    assert "n" in refused(capsys, "evaluate", a, *common[:2], "-n", 1)
    assert "at least 5" in refused(capsys, "evaluate", folder(tmp_path / "few", 4), *common, "--metrics", "pr")
    assert "got 1 sample" in refused(capsys, "evaluate", folder(tmp_path / "one", 1), *common, "--metrics", "fd")
    assert "cannot write" in refused(capsys, "evaluate", a, *common, "--json", f"{a}/000000.png/x.json")
    assert ".npz" in refused(capsys, "stats", a, "--out", tmp_path / "x.csv")
    assert "accuracy is asked for alone" in refused(capsys, "evaluate", a, *common, "--metrics", "fd,accuracy")
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused(capsys, "evaluate", tmp_path / "empty", *common)


def test_a_spec_may_be_longer_than_a_file_name(capsys, tmp_path, judge):
    spec = f"{{type: folder, {' ' * 300} size: 8, channels: 1, path: {folder(tmp_path / 'a')}}}"
    code, _, err = run(
        capsys, "evaluate", spec, "--against", folder(tmp_path / "b", seed=1), "-n", 12, "--extractor", judge
    )
    assert code == 0, err


def test_another_extractors_statistics_and_damage(capsys, tmp_path, judge):
    a = folder(tmp_path / "a")
    run(capsys, "stats", a, "--out", tmp_path / "a.npz", "--extractor", judge)
    torch.manual_seed(1)
    other = Classifier(size=8, channels=3, width=4, classes=3).save_pretrained(tmp_path / "other")
    arguments = ["evaluate", a, "--against", tmp_path / "a.npz", "--metrics", "fd", "-n", 12, "--extractor"]
    assert "statistics of extractor judge" in refused(capsys, *arguments, other)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    assert "a.npz is no readable statistics file" in refused(capsys, *arguments, judge)
    np.savez(tmp_path / "a.npz", mu=np.full(12, np.nan), sigma=np.eye(12), about="{}")
    assert "a.npz" in refused(capsys, *arguments, judge)


ACCEPTED = {
    "ok_rgb.png": None,
    "gray8.png": None,
    "gray16.png": "16-bit",
    "rgba.png": "alpha on white",
    "palette.png": "palette",
    "cmyk.jpg": "colour space",
    "exif_rotated.jpg": "rotated",
    "one_bit.png": "1-bit",
    "tiny_1x1.png": None,
    "aspect_3000x1.png": "extreme aspect ratio",
    "UPPER.PNG": None,
    "ünï code.png": None,
}
REFUSED = [
    "truncated.png",
    "bitflip.png",
    "truncated.jpg",
    "zero_bytes.png",
    "text.png",
    "bomb_400mp_1bit.png",
    "float01.npy",
    "nan.npy",
    "objects.npy",
    "animated.gif",
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_unusual_images_are_converted_and_counted(capsys, tmp_path, judge, name):
    a, source = folder(tmp_path / "a"), shared("fixtures", "eval", "bad_images", name)
    shutil.copyfile(source, tmp_path / "a" / name)
    arguments = ["--metrics", "fd", "-n", 13, "--extractor", judge, "--json", tmp_path / "o.json"]
    code, _, err = run(capsys, "evaluate", a, "--against", a, *arguments)
    assert code == 0, err
    found = json.loads((tmp_path / "o.json").read_text())["a"]
    assert found["n"] == 13 and found["notes"]["accepted"] == 13
    assert ACCEPTED[name] is None or ACCEPTED[name] in found["notes"]["converted"]


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_images_are_named_or_left_out(capsys, tmp_path, judge, name):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b")
    shutil.copyfile(shared("fixtures", "eval", "bad_images", name), tmp_path / "a" / name)
    arguments = ["--against", b, "--metrics", "fd", "-n", 13, "--extractor", judge, "--json", tmp_path / "o.json"]
    assert name in refused(capsys, "evaluate", a, *arguments)
    code, out, _ = run(capsys, "evaluate", a, *arguments, "--skip-bad")
    found = json.loads((tmp_path / "o.json").read_text())
    assert code == 0 and name in out and found["a"]["n"] == 12
    assert found["a"]["notes"]["rejected"][0][0] == name


@pytest.mark.parametrize("name", [".hidden.png", "._resource.png"])
def test_hidden_files_are_ignored(capsys, tmp_path, judge, name):
    a = folder(tmp_path / "a")
    source = shared("fixtures", "eval", "bad_images") / name
    if source.exists():
        shutil.copyfile(source, tmp_path / "a" / name)
    else:
        (tmp_path / "a" / name).write_bytes(b"not an image")
    code, out, _ = run(capsys, "evaluate", a, "--against", a, "--metrics", "fd", "-n", 12, "--extractor", judge)
    assert code == 0 and "n = 12" in out


@pytest.mark.parametrize("name", ["outliers", "likelihood", "knn"])
def test_the_help_of_a_use_is_its_own(capsys, name):
    code, out, _ = run(capsys, name, "--help")
    own = {"outliers": "--worst", "likelihood": "--nearest", "knn": "--train"}
    assert code == 0 and f"genkit {name}" in out.split("Options")[0] and own.pop(name) in out
    assert not any(option in out for option in own.values()) and "--metrics FEATURES" not in out


def test_a_fault_of_other_code_is_told_as_that(capsys, tmp_path, monkeypatch):
    from genkit import register
    from genkit.core.table import CATALOG

    monkeypatch.setattr("genkit.core.others_code._packages", set())  # other tests register names of theirs
    (tmp_path / "somebodys.py").write_text("def made(n: int = 3):\n    return {}['key']\n")
    (tmp_path / "untidy.py").write_text("def made(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("somebodys", "untidy"):
        register("data", f"set_of_{module}", f"{module}:made")
    try:
        told = refused(capsys, "evaluate", "{type: set_of_somebodys}", "--against", "digits")
        assert "somebodys, line 2, which is no code of genkit, failed with KeyError: 'key'; --debug" in told
        assert "untidy.py, line 1, is no Python" in refused(
            capsys, "evaluate", "{type: set_of_untidy}", "--against", "digits"
        )
    finally:
        for module in ("somebodys", "untidy"):
            del CATALOG["data"][f"set_of_{module}"]
    monkeypatch.setattr("genkit.evaluation.real_data.find_name", lambda *_: {}["key"])
    monkeypatch.setattr("genkit.evaluation.opening.find_name", lambda *_: {}["key"])
    code, _, err = run(capsys, "evaluate", "nothing", "--against", "digits")
    assert code == 1 and "internal error: KeyError" in err
