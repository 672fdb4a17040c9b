"""Published weights: no code is run, no other content is taken, and where they were looked for is said."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from genkit.core.errors import EvaluationError, WeightsError
from genkit.evaluation.extractors import weights_file
from genkit.evaluation.extractors.weights_file import find_or_download, load_state


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_kinds_of_files_fill_a_network_without_storage(layer, tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(layer.state_dict(), path)
    empty = nn.Linear(3, 2, device="meta")
    load_state(empty, path)
    assert torch.equal(empty.weight, layer.weight)
    assert not empty.training and not empty.weight.requires_grad


def test_a_file_that_runs_code_is_refused(tmp_path, layer):
    class Harm:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    torch.save({"weight": Harm()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="damaged or not a plain file"):
        load_state(layer, tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()


def test_other_content(tmp_path, layer):
    for name, content, message in (
        ("shape.pth", {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, "'weight' is missing or of another shape"),
        ("nan.pth", {"weight": torch.full((2, 3), torch.nan), "bias": torch.zeros(2)}, "not finite"),
        (
            "int.pth",
            {"weight": torch.zeros(2, 3).int(), "bias": torch.zeros(2)},
            "torch.int32, not torch.float32",
        ),
        ("list.pth", [torch.zeros(1)], "names and tensors only"),
    ):
        torch.save(content, tmp_path / name)
        with pytest.raises(WeightsError, match=message):
            load_state(layer, tmp_path / name)


class TestDownload:
    @pytest.fixture(autouse=True)
    def somewhere(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        self.file = tmp_path / "published.pth"
        self.file.write_bytes(b"the published bytes")
        self.sha256 = hashlib.sha256(b"the published bytes").hexdigest()

    def find(self, *urls, sha256=None):
        return find_or_download("kept.pth", urls or (self.file.as_uri(),), sha256 or self.sha256, "judge")

    def test_verified_and_kept(self, tmp_path, monkeypatch):
        assert self.find().read_bytes() == b"the published bytes"
        monkeypatch.setattr(weights_file, "_download", None)
        assert self.find() == tmp_path / "cache" / "weights" / "kept.pth"

    def test_the_second_address_when_the_first_fails(self, tmp_path):
        assert self.find((tmp_path / "absent").as_uri(), self.file.as_uri()).is_file()

    def test_torchs_own_cache_is_used(self, tmp_path, monkeypatch):
        kept = tmp_path / "torch" / "hub" / "checkpoints" / self.file.name
        kept.parent.mkdir(parents=True)
        kept.write_bytes(self.file.read_bytes())
        monkeypatch.setattr(weights_file, "_download", None)
        assert self.find() == kept

    def test_another_hash_is_refused_and_not_kept(self, tmp_path):
        with pytest.raises(EvaluationError, match="another hash"):
            self.find(sha256="0" * 64)
        assert not list((tmp_path / "cache" / "weights").iterdir())

    def test_a_kept_file_that_was_damaged_is_said(self, tmp_path):
        self.find().write_bytes(b"other")
        with pytest.raises(EvaluationError, match=r"kept\.pth is damaged, delete it"):
            self.find()

    def test_no_network(self, tmp_path):
        with pytest.raises(EvaluationError, match=r"cannot be reached.*give it as judge weights"):
            self.find((tmp_path / "absent.pth").as_uri())


def test_half_precision_becomes_the_networks_own(tmp_path, layer):
    torch.save({"weight": torch.ones(2, 3).half(), "bias": torch.ones(2).double()}, tmp_path / "half.pth")
    load_state(layer, tmp_path / "half.pth")
    assert layer.weight.dtype == layer.bias.dtype == torch.float32 and layer.weight.sum() == 6
