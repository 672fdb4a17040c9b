"""The files are made here in the layouts of the originals, so that nothing is downloaded."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision import datasets

from genkit.core.errors import DataError
from genkit.data.torchvision_sets import celeba, cifar10, fashion_mnist, mnist
from genkit.images.pixels import png_bytes
from tests.shared import shared

IDX = {"MNIST": mnist, "FashionMNIST": fashion_mnist}


def write_idx(root: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng, folder = np.random.default_rng(0), root / kind / "raw"
    folder.mkdir(parents=True)
    images = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    labels = (np.arange(30) % 10).astype(np.uint8)
    for prefix, part in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        count = len(images[part])
        header = struct.pack(">4I", 2051, count, 28, 28)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images[part].tobytes())
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + labels[part].tobytes())
    return images, labels


@pytest.mark.parametrize("kind", IDX)
def test_found_offline_under_root_or_genkit_data(kind: str, tmp_path: Path, monkeypatch) -> None:
    images, labels = write_idx(tmp_path, kind)
    whole = IDX[kind]("all", root=tmp_path)
    assert np.array_equal(whole.x[:, 0].numpy(), images) and whole.labels.tolist() == labels.tolist()
    monkeypatch.setenv("GENKIT_DATA", str(tmp_path))
    test = IDX[kind]("test", size=32, channels=3, labels=False)
    assert test.x.shape == (10, 3, 32, 32) and test.labels is None and test.classes == ()
    assert len(IDX[kind]().x) == 20 and len(IDX[kind]().classes) == 10


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    write_idx(tmp_path, "MNIST")
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"MNIST in .* is damaged"):
        mnist("train", root=tmp_path)


@pytest.mark.parametrize(
    ("make", "layout"), [(mnist, "MNIST/raw"), (cifar10, "cifar-10-batches-py"), (celeba, "celeba/ with")]
)
def test_a_failed_download_names_the_folder_and_the_layout(make, layout, tmp_path, monkeypatch) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("no network\nat all")

    for kind in ("MNIST", "CIFAR10", "CelebA"):
        monkeypatch.setattr(getattr(datasets, kind), "download", no_network)
    with pytest.raises(
        DataError, match=rf"is not in {tmp_path} and cannot be downloaded \(no network\).*{layout}"
    ) as caught:
        make(root=tmp_path)
    assert "\n" not in str(caught.value)


def test_cifar10_keeps_rows_and_columns(monkeypatch, tmp_path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 4, 32, 32, 3), dtype=np.uint8)

    def stand_in(root: Path, *, train: bool, download: bool) -> SimpleNamespace:
        assert root == tmp_path and not download
        return SimpleNamespace(data=images[0 if train else 1], targets=[3, 1, 4, 1])

    monkeypatch.setattr(datasets, "CIFAR10", stand_in)
    data = cifar10("all", root=tmp_path)
    assert np.array_equal(data.x.permute(0, 2, 3, 1).numpy(), images.reshape(8, 32, 32, 3))
    assert data.labels.tolist() == [3, 1, 4, 1] * 2 and data.classes[3] == "cat"
    assert cifar10("test", root=tmp_path, channels=1, size=16).sample_shape == (1, 16, 16)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    base = tmp_path / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    names = [f"{k:06d}.jpg" for k in range(1, 7)]
    for k, name in enumerate(names):
        x = torch.zeros(3, 218, 178, dtype=torch.uint8)
        x[:, 20:198] = 40 * k
        (base / "img_align_celeba" / name).write_bytes(png_bytes(x))
    parts = zip(names, "001220", strict=True)
    (base / "list_eval_partition.txt").write_text("".join(f"{name} {part}\n" for name, part in parts))
    rows = "".join(f"{name}  -1 {1 if k % 2 else -1}\n" for k, name in enumerate(names))
    (base / "list_attr_celeba.txt").write_text(f"6\nBald Smiling\n{rows}")
    return tmp_path


def test_celeba_is_cut_split_and_labelled(faces: Path) -> None:
    data = celeba("train", root=faces, size=8, attribute="Smiling")
    assert data.x[:, 0, 4, 4].tolist() == [0, 40, 200] and data.sample_shape == (3, 8, 8)
    assert int(data.x[2].min()) == 200
    assert data.labels.tolist() == [0, 1, 1] and data.classes == ("not Smiling", "Smiling")
    assert [len(celeba(split, root=faces, size=8)) for split in ("valid", "test", "all")] == [1, 2, 6]
    assert celeba("valid", root=faces, size=8).labels is None


def test_celeba_with_wrong_wishes(faces: Path) -> None:
    with pytest.raises(DataError, match="no attribute 'Smile'; did you mean 'Smiling'"):
        celeba("train", root=faces, attribute="Smile")
    with pytest.raises(DataError, match="no split 'dev'"):
        celeba("dev", root=faces)  # type: ignore[arg-type]
    (faces / "celeba" / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match=r"list_eval_partition\.txt cannot be read"):
        celeba("train", root=faces)


@pytest.mark.parametrize(("make", "mean"), [(mnist, 33.318), (fashion_mnist, 72.940)])
def test_shared_originals(make, mean: float) -> None:
    data = make("train", root=shared("data"))
    assert data.x.shape == (60_000, 1, 28, 28) and data.x.float().mean().item() == pytest.approx(mean, abs=1e-3)
