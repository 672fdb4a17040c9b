"""StackedMNIST: every image is three digits, and says which."""

from __future__ import annotations

import torch

from genkit.core import catalog
from genkit.data.stacked_mnist import stacked_mnist
from genkit.data.torchvision_sets import mnist
from tests.shared import shared


def test_an_image_is_the_three_digits_of_its_class() -> None:
    root = shared("data")
    made, digits = stacked_mnist("test", n=200, seed=3, root=root), mnist("test", root=root)
    assert made.x.shape == (200, 3, 28, 28) and made.name == "stacked_mnist/test"
    of_pixels: dict[bytes, int] = {}
    for image, label in zip(digits.x, digits.labels, strict=True):
        of_pixels[image.numpy().tobytes()] = int(label)
    for image, label in zip(made.x, made.labels, strict=True):
        three = [of_pixels[channel.numpy().tobytes()] for channel in image]
        assert made.classes[int(label)] == "".join(map(str, three))


def test_it_is_a_function_of_the_seed() -> None:
    root = shared("data")
    one, again, other = (stacked_mnist("test", 50, seed, root) for seed in (0, 0, 1))
    assert one.x.equal(again.x) and one.fingerprint == again.fingerprint
    assert not one.x.equal(other.x)
    longer = stacked_mnist("test", 60, 0, root)
    assert not longer.x.equal(one.x) and len(longer.x) == 60


def test_size_and_labels() -> None:
    small = catalog.build(
        {"type": "stacked_mnist", "split": "test", "n": 9, "size": 16, "labels": False, "root": str(shared("data"))},
        kind="data",
    )
    assert small.x.shape == (9, 3, 16, 16) and small.labels is None and small.classes == ()
    assert torch.isfinite(small.rows(torch.arange(9))).all()
