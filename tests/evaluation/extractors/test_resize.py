"""The resize rules against the libraries they are named for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation.extractors import resize
from genkit.evaluation.extractors.resize import clean, clean_fid, keep, tf1
from tests.shared import shared

CASES = ["down", "up", "odd"]


@pytest.fixture(params=CASES)
def reference(request):
    with np.load(shared("fixtures", "eval", "resize_reference.npz")) as arrays:
        return {k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(request.param)}


def batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def test_clean(reference):
    found = clean(batch(reference["input_u8"]), 64)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - reference["pil_bicubic_float_clip_64"]).max() < 1e-3


def test_tf1(reference):
    found = tf1(batch(reference["input_u8"]), 64)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - reference["tf1_bilinear_64"]).max() < 1e-3


@pytest.mark.parametrize("size", [(32, 32), (299, 299), (300, 200), (512, 640), (1, 1)])
def test_clean_equals_clean_fid(size):
    resizer = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = clean(batch(image), 299)[0].permute(1, 2, 0).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # clean-fid names Pillow's mode
        expected = resizer(image)
    assert np.abs(found - expected).max() < 1e-4


def test_clean_fid_resizes_to_its_own_size_alone():
    with pytest.raises(EvaluationError, match="299 x 299 alone"):
        clean_fid(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 224)


@pytest.mark.parametrize("size", [(32, 32), (299, 299), (300, 200), (512, 640), (2, 3)])
def test_tf1_equals_torch_fidelity(size):
    module = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    image = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = module.interpolate_bilinear_2d_like_tensorflow1x(image.float(), (299, 299), align_corners=False)
    assert torch.equal(tf1(image, 299), expected)


def test_the_rules_differ():
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert (clean(image, 32) - tf1(image, 32)).abs().mean() > 10


def test_keep():
    image = torch.randint(0, 256, (1, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(keep(image, 4), image.float())
    with pytest.raises(EvaluationError, match="takes 5 x 5"):
        keep(image, 5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_resizing_a_few_planes_at_a_time_changes_no_bit(layout, monkeypatch):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 3, 40, 33), dtype=torch.uint8, generator=rng).contiguous(memory_format=layout)
    whole = torch.nn.functional.interpolate(images.double(), (17, 17), mode="bicubic", antialias=True)
    whole = whole.clamp_(0, 255).float()
    for planes in (1, 4000, 2**22):
        monkeypatch.setattr(resize, "PLANES", planes)
        found = resize.clean(images, 17)
        assert torch.equal(found, whole) and found.stride() == whole.stride()
        assert torch.equal(torch.cat([resize.clean(image[None], 17) for image in images]), whole)
