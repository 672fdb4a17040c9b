from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from genkit.core import computing as module
from genkit.core.computing import Computing, computing, computing_by, exact, networks_of, refusal, this_device
from genkit.core.errors import GenkitError
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator
from genkit.vae.networks.gated_vae import GatedVAENetwork
from genkit.vae.vae import VAE

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2{}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{}\n"
CPU = torch.device("cpu")


def gan() -> GAN:
    return GAN(MLPGenerator(latent_dim=3, width=8, depth=2))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (X86.format(""), True),
        (X86.format(" avx512_bf16"), False),
        (X86.format(" amx_bf16"), False),
        (ARM.format(""), True),
        (ARM.format(" bf16"), False),
        ("processor : 0\n", False),
        (None, False),
    ],
)
def test_bf16_is_refused_on_a_cpu_that_is_known_to_have_no_units_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, refused: bool
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert ("no units for bf16" in refusal("bf16", CPU)) == refused
    if refused:
        with pytest.raises(GenkitError, match="--precision bf16: this CPU has no units"):
            Computing.asked("cpu", "bf16")
    else:
        assert Computing.asked("cpu", "bf16").precision == "bf16"
    assert not refusal("no", CPU)


def test_bf16_is_refused_on_an_older_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert "fp16" in refusal("bf16", torch.device("cuda")) and not refusal("fp16", torch.device("cuda"))


def accelerators(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def test_the_device_is_the_accelerator_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_device() == CPU
    for kind in ("cuda", "xpu", "mps"):
        accelerators(monkeypatch, kind, 4)
        assert this_device() == torch.device(kind)
        monkeypatch.setenv("LOCAL_RANK", "2")
        assert this_device() == (torch.device("mps") if kind == "mps" else torch.device(kind, 2))
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        assert this_device() == CPU


def test_it_is_the_one_that_accelerate_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import PartialState

    for found in (None, "cpu"):
        if found:
            monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", found)
        monkeypatch.setattr(PartialState, "_shared_state", {})
        assert PartialState().device == this_device()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "there is no 'gpu' here; there is cpu, cuda"),
        ("cuda:2", r"there is no 'cuda:2' here \(2 of it\)"),
        ("cuda:x", "there is no 'cuda:x' here"),
        ("mps", "there is no 'mps' here; there is cpu, cuda"),
        ("cpu:1", "there is no 'cpu:1' here"),
        ("", None),
        ("cuda:1", None),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str | None) -> None:
    accelerators(monkeypatch, "cuda", 2)
    if message is None:
        assert Computing.asked(name).device == torch.device(name or "cuda")
        return
    with pytest.raises(GenkitError, match=f"--device: {message}"):
        Computing.asked(name)


def test_of_several_processes_each_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerators(monkeypatch, "cuda", 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert Computing.asked("cuda").device == torch.device("cuda:1")
    with pytest.raises(GenkitError, match="--device cuda:0 would be the device of every process; give --device cuda"):
        Computing.asked("cuda:0")


def test_the_precision_is_that_of_networks_and_not_of_what_is_exact() -> None:
    generator, z = gan(), torch.randn(4, 3)
    with computing_by(Computing(CPU, "bf16")), torch.no_grad():
        assert computing().precision == "bf16"
        low = generator.network(z)
        assert generator.sample(2).dtype == torch.float32
        with exact():
            high = generator.network(z)
    assert low.dtype == torch.bfloat16 and high.dtype == torch.float32
    assert computing() == Computing(CPU)
    with torch.no_grad():
        assert generator.network(z).equal(high)


def test_compiled_are_the_networks_that_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    generator = gan()
    assert networks_of(generator) == [generator.network]
    assert Computing(CPU).ready(generator) is generator and not compiled
    Computing(CPU, compile=True).ready(generator)
    assert compiled == [generator.network]
    with pytest.raises(GenkitError, match="--compile: a VAE has no network that is called as a whole"):
        Computing(CPU, compile=True).ready(VAE(GatedVAENetwork(8, 1, 3, 8)))
