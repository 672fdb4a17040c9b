"""The FID Inception against the libraries that everyone compares with, on random weights from a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from genkit.core.errors import WeightsError
from genkit.evaluation.extractors import inception
from genkit.evaluation.extractors.fid_inception import FIDInception
from genkit.evaluation.extractors.resize import clean
from genkit.evaluation.metrics.scores_by_name import label


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights whose activations stay of order one."""
    torch.manual_seed(0)
    network = FIDInception()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


def pictures(n: int = 1, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def extractor(weights):
    return inception.inception(weights)


@pytest.fixture(scope="module")
def published_clean(weights):
    """Built as if the file were the published one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
        return inception.inception_clean(weights)


@pytest.fixture(scope="module")
def features(extractor):
    return extractor(pictures()).features


@pytest.mark.slow
def test_features_and_logits_equal_torch_fidelity(weights, extractor):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    theirs = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(weights))
    features, logits = theirs(pictures())
    found = extractor(pictures())
    assert features.abs().max() > 0.1
    assert (found.features - features).abs().max() < 1e-4 * features.abs().max()
    assert (found.logits - logits).abs().max() < 1e-4 * logits.abs().max()


def test_clean_is_clean_fids_resize_before_the_same_network(weights, published_clean, features):
    network = FIDInception()
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        expected, _ = network.eval()((clean(pictures(), 299) - 128) / 128)
    found = published_clean(pictures()).features
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (found - features).abs().max() > 0.01 * expected.abs().max()


def test_the_resize_of_clean_is_clean_fids_own(published_clean):
    from cleanfid.resize import build_resizer

    images = pictures(2, 40)
    theirs = [torch.from_numpy(build_resizer("clean")(image.permute(1, 2, 0).numpy())) for image in images]
    expected = (torch.stack(theirs).permute(0, 3, 1, 2) - 128) / 128
    assert torch.equal(published_clean.prepare(images), expected)
    assert published_clean.id.startswith("inception/clean/clean/299/")


def test_unknown_weights_are_never_called_fid(weights, extractor):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.sha256 == digest and not extractor.published
    assert label("fd", extractor.name, extractor.published) == f"FD/inception#{digest[:8]}"
    assert label("is", extractor.name, extractor.published).startswith("CS/")


def test_the_published_hash_gives_the_published_names(published_clean):
    assert published_clean.published
    labels = [label(name, published_clean.name, True) for name in ("fd", "kd", "is", "precision")]
    assert labels == ["FID/clean", "KID/clean", "IS/clean", "precision/inception/clean"]
    assert label("fd", "inception", True) == "FID" and label("fd", "inception", False) == "FD/inception"


def test_the_published_file_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(inception, "find_or_download", lambda *a: asked.append(a) or Path("/absent.pth"))
    with pytest.raises(WeightsError, match="does not exist"):
        inception.inception()
    assert asked == [(inception.FILE, inception.URLS, inception.SHA256, "inception")]
    assert inception.SHA256.startswith("6726825d") and all("6726825d" in url for url in inception.URLS)
