"""Every command answers a signal within seconds, with one line and 128 + its number, and leaves no half files."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.cli.main import main
from tests.training.tiny import child

ANSWER_S = 10


def grind(sentinel: Path) -> Any:
    """Some Python that never ends."""
    sentinel.touch()
    while True:
        time.sleep(0.01)


def factorise(sentinel: Path) -> Any:
    """One call of a library that takes minutes."""
    matrix = torch.randn(6000, 6000, dtype=torch.float64)
    sentinel.touch()
    return torch.linalg.svdvals(matrix)


def in_sampling(endless: Callable[[], Any]) -> None:
    from genkit.gan.gan import GAN

    GAN._sample = lambda self, condition, rows: endless()  # type: ignore


def in_decoding(endless: Callable[[], Any]) -> None:
    from genkit.images import image_files

    image_files.decode = image_files.check_content = lambda *_: endless()


def in_features(endless: Callable[[], Any]) -> None:
    from genkit.evaluation.extractors.extractor import Extractor

    Extractor.__call__ = lambda self, x: endless()  # type: ignore


def in_metrics(endless: Callable[[], Any]) -> None:
    from genkit.evaluation import scoring

    scoring.compute = lambda *_: endless()


def in_ranks(endless: Callable[[], Any]) -> None:
    from genkit.evaluation import reading

    reading.rank_of_features = lambda _: endless()  # type: ignore


def in_likelihoods(endless: Callable[[], Any]) -> None:
    from genkit.evaluation import likelihood

    likelihood.open_data = lambda *_: endless()


def command_line(patch: Callable[..., None], work: Callable[[Path], Any], place: Path, arguments: list[str]) -> None:
    os.chdir(place)
    os.environ["GENKIT_CACHE"] = str(place / "cache")
    patch(lambda: work(place / "busy"))
    with open(place / "told", "w") as told, contextlib.redirect_stderr(told):
        code = main(arguments)
    os._exit(code)


SCORES = ["evaluate", "RUN", "--against", "digits/test", "-n", "20", "--json", "scores.json"]
CASES = {
    "sampling": (in_sampling, grind, ["sample", "RUN", "-n", "4", "--out", "out"]),
    "decoding": (in_decoding, grind, ["evaluate", "pictures", "--against", "digits/test", "-n", "2"]),
    "features": (in_features, grind, SCORES),
    "metrics": (in_metrics, factorise, SCORES),
    "ranks": (in_ranks, factorise, SCORES),
    "statistics": (in_features, grind, ["stats", "digits/test", "-n", "20", "--out", "digits.npz"]),
    "likelihood": (in_likelihoods, grind, ["likelihood", "mnist-exemplar-vae", "--against", "digits/test"]),
    "training": (
        in_decoding,
        grind,
        [
            "train",
            "digits/wgan_ratio_clipping",
            "data={type: folder, path: pictures, size: 28, channels: 1}",
            "--out",
            "out",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_signal_is_answered(case: str, finished: Path, tmp_path: Path) -> None:
    patch, work, arguments = CASES[case]
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(b"never decoded")
    given = [str(finished) if word == "RUN" else word for word in arguments]
    process = child(command_line, patch, work, tmp_path, given)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "busy").exists():
            assert process.is_alive() and time.monotonic() < deadline, (tmp_path / "told").read_text()
            time.sleep(0.02)
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(ANSWER_S)
        assert process.exitcode == 143
    finally:
        process.kill()
    assert (tmp_path / "told").read_text().splitlines()[-1] == "genkit: stopped by SIGTERM"
    left = {p.name for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts}
    assert left - {".series.json"} == {"busy", "told", "0.png", "1.png", "2.png"}
