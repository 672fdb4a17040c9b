"""The FID Inception against the libraries that everyone compares with, on random weights from a file."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch

from genkit.errors import EvaluationError, WeightsError
from genkit.evaluation import inception, weights_file
from genkit.evaluation.inception import FIDInception


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


def pictures(n: int = 3, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [32, 299])
def test_features_and_logits_equal_torch_fidelity(weights, size):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    theirs = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(weights))
    features, logits = theirs(pictures(size=size))
    found = inception.inception(weights)(pictures(size=size))
    assert features.abs().max() > 0.1
    assert (found.features - features).abs().max() < 1e-4 * features.abs().max()
    assert (found.logits - logits).abs().max() < 1e-4 * logits.abs().max()


def test_clean_is_clean_fids_resize_before_the_same_network(weights):
    from genkit.evaluation.resize import clean

    network = FIDInception()
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        expected, _ = network.eval()((clean(pictures(), 299) - 128) / 128)
    found = inception.inception_clean(weights)(pictures()).features
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (found - inception.inception(weights)(pictures()).features).abs().max() > 0.01 * expected.abs().max()


def test_unknown_weights_are_never_called_fid(weights):
    extractor = inception.inception(weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.sha256 == digest and not extractor.published
    assert extractor.label("fd") == f"FD/inception#{digest[:8]}"
    assert extractor.label("is").startswith("CS/")


def test_the_published_hash_gives_the_published_names(weights, monkeypatch):
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    labels = [inception.inception(weights).label(name) for name in ("fd", "kd", "is", "precision")]
    assert labels == ["FID", "KID", "IS", "precision/inception"]
    assert inception.inception_clean(weights).label("fd") == "FID/clean"


def test_safetensors(weights, tmp_path):
    from safetensors.torch import save_file

    save_file(torch.load(weights, weights_only=True), tmp_path / "w.safetensors")
    found = inception.inception(tmp_path / "w.safetensors")(pictures(1)).features
    assert torch.allclose(found, inception.inception(weights)(pictures(1)).features)


class TestDownload:
    def setup(self, weights, monkeypatch, tmp_path, url):
        monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setattr(inception, "URLS", (url,))
        monkeypatch.setattr(inception, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())

    def test_verified_and_kept(self, weights, monkeypatch, tmp_path):
        self.setup(weights, monkeypatch, tmp_path, weights.as_uri())
        assert inception.inception().published
        monkeypatch.setattr(weights_file, "_download", None)
        assert inception.inception().published

    def test_torchs_own_cache_is_used(self, weights, monkeypatch, tmp_path):
        self.setup(weights, monkeypatch, tmp_path, weights.as_uri())
        (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
        os.link(weights, tmp_path / "torch" / "hub" / "checkpoints" / weights.name)
        monkeypatch.setattr(weights_file, "_download", None)
        assert inception.inception().published

    def test_another_hash_is_refused_and_not_kept(self, weights, monkeypatch, tmp_path):
        self.setup(weights, monkeypatch, tmp_path, weights.as_uri())
        monkeypatch.setattr(inception, "SHA256", "0" * 64)
        with pytest.raises(EvaluationError, match="another hash"):
            inception.inception()
        assert not list((tmp_path / "cache" / "weights").iterdir())

    def test_no_network(self, weights, monkeypatch, tmp_path):
        self.setup(weights, monkeypatch, tmp_path, (tmp_path / "absent.pth").as_uri())
        with pytest.raises(EvaluationError, match=r"cannot be reached.*give it as inception weights"):
            inception.inception()


def test_a_file_that_runs_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    torch.save({"fc.weight": Harm()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="damaged or not a plain file"):
        inception.inception(tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()
