"""genkit export to torch and ONNX: the files, what is said of them, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import genkit.foreign.exported_graph as exported_graph
from genkit.core.errors import CheckpointError
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.process import Process
from genkit.foreign import export_graph
from genkit.gan.gan import GAN
from genkit.gan.networks.dcgan import DCGANGenerator
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


class OneConvolution(Denoiser):
    """The smallest denoiser."""

    classes, unlabelled, outputs, sample_shape = 0, False, 1, (1, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        answer: Tensor = self.layer(x) + t[:, None, None, None]
        return answer


@pytest.fixture
def gan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GAN:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    made = GAN(DCGANGenerator(3, size=8, width=4, classes=10))
    made.save_pretrained(tmp_path / "gan")
    return made


@pytest.mark.parametrize(("to", "file"), [("torch", "model.pt2"), ("onnx", "model.onnx")])
def test_the_readme_says_what_is_taken_and_its_code_runs(
    gan: GAN, to: str, file: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run(capsys, "export", "gan", "--to", to, "--out", "out")
    assert ran.code == 0 and ran.err == ""
    assert ran.out.startswith(f"out: a GAN for {to}, which differs from it by ")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {file, "README.md", "example.npz"}
    text = (out / "README.md").read_text()
    for row in (
        "| `z` | float32 | (n, 3) | standard normal |",
        "| `label` | int64 | (n) | 10 classes |",
        "| `images` | float32 | (n, 1, 8, 8) | images, -1 is black and 1 is white |",
    ):
        assert row in text
    rows = np.load(out / "example.npz")
    own = gan.sample(4, rng=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(rows["images"], own.numpy())
    monkeypatch.chdir(out)
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    told: dict[str, Any] = {}
    exec(code[1], told)
    assert told["images"].shape == (4, 1, 8, 8) and float(capsys.readouterr().out) < 1e-4


def test_a_denoiser_comes_with_the_numbers_of_its_process(tmp_path: Path) -> None:
    model = DDPM(OneConvolution(), Process(steps=5, variance="fixed_large", prediction="v"))
    export_graph(model, "torch", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "process.json").read_text())
    assert told["prediction"] == "v" and told["timesteps"] == [0, 1, 2, 3, 4]
    assert told["abar"] == model.process.abar.tolist()
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| `t` | float32 | (n) | timestep, a number of `timesteps` in process.json, 0 to 4 |" in text
    assert "v = sqrt(abar) eps - sqrt(1 - abar) x0" in text
    x = torch.randn(3, 1, 4, 4)
    got = torch.export.load(tmp_path / "out" / "model.pt2").module()(x, torch.tensor([0.0, 2.0, 4.0]))
    torch.testing.assert_close(got, model.network(x, torch.tensor([0.0, 2.0, 4.0])))


def test_the_generator_that_is_exported_is_left_as_it_is(gan: GAN, tmp_path: Path) -> None:
    gan.train()
    export_graph(gan, "torch", tmp_path / "out")
    assert gan.training and all(parameter.requires_grad for parameter in gan.parameters())


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own writer would end the process."""

    def full(self: Path, *_: object) -> int:
        raise OSError(28, "No space left on device")

    gan = GAN(DCGANGenerator(latent_dim=3, size=8, channels=1, width=4))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*: No space left on device, \d+ MiB free there"):
        export_graph(gan, "torch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    gan: GAN, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("export", "gan", "--to", "onnx", "--out", "out")
    assert "holds a" in refusal(capsys, "export", "mnist-classifier", "--to", "onnx", "--out", "out")
    told = refusal(capsys, "export", "mnist-classifier", "--to", "tensorflow", "--out", "out")
    assert "diffusers" in told and "onnx" in told
    with monkeypatch.context() as patch:
        patch.setattr(exported_graph, "find_spec", lambda name: None)
        assert refusal(capsys, *line) == (
            "ONNX needs onnx, onnxscript, onnxruntime; install them: pip install 'genkit[onnx]'"
        )
    with monkeypatch.context() as patch:
        patch.setitem(exported_graph._RUNNERS, "onnx", lambda path, given: torch.zeros(4, 1, 8, 8))
        assert "differs from the generator by" in refusal(capsys, *line)
    with monkeypatch.context() as patch:
        patch.setattr(GAN, "forward", lambda self, z, c=None: self.network(z, c) * float(z.sum()))
        assert "torch.export cannot trace this GAN" in refusal(capsys, *line)
    assert [path.name for path in tmp_path.iterdir()] == ["gan"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "exists and is not empty" in refusal(capsys, *line)


def test_an_export_is_refused_before_weights_are_read(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to in ("torch", "onnx", "diffusers"):
        told = refusal(capsys, "export", "nowhere", "--to", to, "--out", tmp_path / "file")
        assert "it is a file, and a folder is wanted" in told
