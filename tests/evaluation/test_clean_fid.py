"""Published reference statistics, by stand-ins for clean-fid's files put where it looks for them."""

from __future__ import annotations

import hashlib
import urllib.error
from pathlib import Path

import cleanfid
import numpy as np
import pytest
import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation import evaluate
from genkit.evaluation.clean_fid import DIMENSIONS, CleanFidStatistics
from genkit.evaluation.extractors import inception
from genkit.evaluation.extractors.fid_inception import FIDInception
from genkit.evaluation.functional import frechet_distance
from genkit.evaluation.opening import opening
from genkit.evaluation.statistics_file import Statistics
from tests.cli.console import refusal, run

Arrays = dict[str, np.ndarray]


@pytest.fixture
def stats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where clean-fid keeps its files; no network."""
    monkeypatch.setattr(cleanfid, "__file__", str(tmp_path / "cleanfid" / "__init__.py"))

    def unreachable(url: str) -> None:
        raise urllib.error.URLError(f"no network for {url}")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    (tmp_path / "cleanfid" / "stats").mkdir(parents=True)
    return tmp_path / "cleanfid" / "stats"


def stand_in(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {"mu": rng.normal(size=DIMENSIONS), "sigma": np.diag(rng.uniform(0.5, 1.5, DIMENSIONS))}


def own(path: Path, arrays: Arrays) -> Path:
    """Statistics of `inception/clean` in genkit's own file."""
    extractor = inception.clean_without_weights()
    mu, sigma = (torch.from_numpy(arrays[name]) for name in ("mu", "sigma"))
    Statistics(mu, sigma, 500, "mine", extractor.describe(), extractor.id, "print", 0).save(path)
    return path


@pytest.mark.slow
def test_the_published_file_is_the_reference(stats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, mine = stand_in(), stand_in(1)
    np.savez(stats / "cifar10_clean_train_32.npz", **real)
    ran = run(capsys, "evaluate", own(tmp_path / "mine.npz", mine), "--against", "clean-fid:cifar10/train")
    expected = frechet_distance(real["mu"], real["sigma"], mine["mu"], mine["sigma"])
    assert ran.code == 0, ran.err
    assert f"FID/clean  {expected:.6g}" in ran.out and "n = 500 and 50000" in " ".join(ran.out.split())
    with pytest.raises(EvaluationError, match=r"metric kd: .*mean and a covariance only"):
        evaluate(tmp_path / "mine.npz", "clean-fid:cifar10/train", ["kd"])


def test_a_resolution_and_a_count_that_is_not_known(stats: Path) -> None:
    np.savez(stats / "ffhq_clean_trainval70k_256.npz", **stand_in())
    found = opening("clean-fid:ffhq/trainval70k/256", "b").open()
    assert isinstance(found, Statistics) and found.n is None and found.published
    assert found.name == "clean-fid:ffhq/trainval70k/256"


def test_they_are_of_inception_clean_and_of_no_other_extractor(stats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(stats / "cifar10_clean_test_32.npz", **stand_in())
    found = CleanFidStatistics.named("clean-fid:cifar10/test", "b").read()
    weights = stats / "weights.pth"
    torch.save(FIDInception().state_dict(), weights)
    with pytest.raises(EvaluationError, match="statistics of extractor inception/clean/clean/299/"):
        found.check(inception.inception_clean(weights))
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    found = CleanFidStatistics.named("clean-fid:cifar10/test", "b").read()
    found.check(inception.inception_clean(weights))
    with pytest.raises(EvaluationError, match="not of inception/tf1/299"):
        found.check(inception.inception(weights))


@pytest.mark.parametrize(
    "name", ["", "cifar10", "ffhq/trainval", "cifar10/train/32/1", "../x/train/32", "a/b/c", "a//1", "a/../32"]
)
def test_other_names_are_refused_before_anything_is_read(
    stats: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    line = refusal(capsys, "evaluate", "digits", "--against", f"clean-fid:{name}")
    assert "such as clean-fid:cifar10/train" in line


def test_without_a_network_it_says_what_to_fetch(stats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "evaluate", "digits", "--against", "clean-fid:cifar10/train")
    assert "https://www.cs.cmu.edu/~clean-fid/stats/cifar10_clean_train_32.npz" in line and str(stats) in line
    assert not list(stats.iterdir())


def test_what_needs_samples_is_refused_before_a_download(stats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "evaluate", "digits", "--against", "clean-fid:cifar10/train", "--metrics", "kd")
    assert "kd: clean-fid:cifar10/train/32 holds a mean and a covariance only" in line


def test_half_a_download_is_not_kept(stats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self, *_: object) -> bytes:
            raise ConnectionResetError("gone")

    monkeypatch.setattr("urllib.request.urlopen", lambda url: Answer())
    with pytest.raises(EvaluationError, match=r"cannot be downloaded .gone"):
        CleanFidStatistics.named("clean-fid:cifar10/train", "b").read()
    assert not list(stats.iterdir())


@pytest.mark.parametrize("damage", ["text", "shape", "nan", "names"])
def test_a_damaged_file_is_named(stats: Path, damage: str) -> None:
    path, arrays = stats / "cifar10_clean_train_32.npz", stand_in()
    if damage == "shape":
        arrays["sigma"] = arrays["sigma"][:10]
    elif damage == "nan":
        arrays["mu"][3] = np.nan
    elif damage == "names":
        arrays["m"] = arrays.pop("mu")
    path.write_text("no archive") if damage == "text" else np.savez(path, **arrays)
    with pytest.raises(EvaluationError, match=r"cifar10_clean_train_32\.npz is damaged.*delete it"):
        CleanFidStatistics.named("clean-fid:cifar10/train", "b").read()
