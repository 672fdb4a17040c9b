from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from genkit.core.errors import WeightsError
from genkit.foreign import read_checkpoint

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
OTHER = {"b": torch.zeros(1)}


class Malicious:
    """Unpickling this makes the file `sentinel`."""

    def __init__(self, sentinel: Path):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_safetensors_by_content_whatever_the_name(tmp_path):
    for name in ("model.safetensors", "model.pt"):
        save_file(STATE, tmp_path / name)
        assert same(read_checkpoint(tmp_path / name))


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "args": {"lr": 0.1}},
        {"model": STATE, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": []}},
        {"outer": {"netG": STATE}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_with_one_state_dict(content, zipped, tmp_path):
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(tmp_path / "c.pth"))


def test_several_state_dicts_need_a_part(tmp_path):
    torch.save({"netG": STATE, "ema": {"netG": OTHER}}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match=r"several state dicts.*: ema.netG, netG"):
        read_checkpoint(tmp_path / "c.pt")
    assert same(read_checkpoint(tmp_path / "c.pt", part="netG"))
    assert read_checkpoint(tmp_path / "c.pt", part="ema.netG").keys() == OTHER.keys()
    with pytest.raises(WeightsError, match=r"no state dict at 'netD'; found: ema.netG, netG"):
        read_checkpoint(tmp_path / "c.pt", part="netD")


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_is_refused_and_never_runs(protocol, tmp_path):
    sentinel = tmp_path / "sentinel"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious(sentinel), protocol=protocol))
    torch.save({"state_dict": STATE, "more": Malicious(sentinel)}, tmp_path / "zip.pt", pickle_protocol=protocol)
    for name in ("plain.pt", "zip.pt"):
        with pytest.raises(WeightsError) as refusal:
            read_checkpoint(tmp_path / name)
        assert name in str(refusal.value) and "\n" not in str(refusal.value)
        assert not sentinel.exists()


def test_a_whole_module_is_refused_with_the_way_out(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "G.cpt")
    with pytest.raises(WeightsError, match=r"module.state_dict\(\)"):
        read_checkpoint(tmp_path / "G.cpt")


@pytest.mark.parametrize(
    "unusual",
    [
        torch.ones(2).to_sparse(),
        torch.ones(2, device="meta"),
        torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_refused(unusual, tmp_path):
    torch.save({**STATE, "a.bias": unusual}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match=r"c\.pt: a\.bias is sparse, quantized, or without content; save plain"):
        read_checkpoint(tmp_path / "c.pt")


def test_damage_is_one_line(tmp_path):
    torch.save(STATE, tmp_path / "c.pt")
    save_file(STATE, tmp_path / "c.safetensors")
    for name in ("c.pt", "c.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for length in (0, 1, 8, 9, 40, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(WeightsError) as refusal:
                read_checkpoint(tmp_path / name)
            assert name in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.raises(WeightsError, match="a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(WeightsError, match="missing"):
        read_checkpoint(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="no state dict"):
        read_checkpoint(tmp_path / "list.pt")
