"""Our definition of EfficientNet-Lite0 with the pip package's weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genkit.core.errors import WeightsError
from genkit.evaluation.extractors.efficientnet import PACKAGE, efficientnet_lite0
from tests.shared import shared

pytest.importorskip(PACKAGE)


@pytest.fixture(scope="module")
def extractor():
    return efficientnet_lite0()


def analytic_input() -> torch.Tensor:
    b, c, i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (4, 3, 224, 224)), indexing="ij")
    return torch.sin(0.05 * (b + 1) * i + 0.03 * (c + 1) * j + 0.7 * c)


def test_reference_features(extractor):
    with np.load(shared("fixtures", "eval", "effnet_lite0_reference.npz")) as arrays:
        expected = {name: torch.from_numpy(arrays[f"{name}_f64"]) for name in ("features", "logits")}
    with torch.no_grad():
        features, logits = extractor.network(analytic_input().float())
    assert (features - expected["features"]).abs().max() < 1e-4
    assert (logits - expected["logits"]).abs().max() < 1e-3


def test_pixels_enter_as_the_network_was_trained(extractor):
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, _ = extractor.network((images.float() - 127) / 128)
    assert torch.allclose(extractor(images).features, expected, atol=1e-5)


def test_other_sizes_and_grey_are_brought_to_its_input(extractor):
    found = extractor(torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8))
    assert found.features.shape == (2, 1280) and found.features.min() >= 0 and found.features.max() <= 6
    assert (extractor.resize, extractor.size, len(extractor.sha256)) == ("clean", 224, 64)


def test_files_that_are_not_its_weights(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        efficientnet_lite0(tmp_path / "no.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="missing or of another shape"):
        efficientnet_lite0(tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(WeightsError, match="damaged"):
        efficientnet_lite0(tmp_path / "text.pth")
