"""The note that an exported folder keeps for genkit, damaged and changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from genkit.core.errors import WeightsError
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.foreign import export_pipeline, import_checkpoint
from tests.cli.console import refusal, run
from tests.diffusion.authors.pipelines import ddpm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return export_pipeline(ddpm(DDIM("ddim5"), steps=20, variance="learned_range"), tmp_path / "p")


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        import_checkpoint("diffusers/pipeline", folder, None, folder.parent / "w")
    assert "\n" not in str(caught.value) and not (folder.parent / "w").exists()
    return str(caught.value)


@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json"])
def test_a_change_of_what_diffusers_is_told_is_not_ignored(file: str, folder: Path) -> None:
    rewrite(folder / file, more=1)
    assert f"{file} was changed after the export" in refused(folder)


def test_without_its_note_a_folder_is_read_as_any_other(folder: Path, tmp_path: Path) -> None:
    (folder / "genkit.json").unlink()
    rewrite(folder / "scheduler/scheduler_config.json", prediction_type="sample")
    again: Any = import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    assert again.process.config["prediction"] == "x0" and again.network.outputs == 1


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "is not as genkit writes it"),
        ('{"generator": {"type": "gan"}, "files": {}}', "genkit.json"),
        ('{"generator": {"type": "unet"}, "files": {}}', "a ddpm over a unet or diffusers_unet is needed"),
        ('{"generator": {"type": "os.system"}, "files": {}}', "os.system"),
    ],
)
def test_a_damaged_note(note: str, said: str, folder: Path) -> None:
    (folder / "genkit.json").write_text(note)
    assert said in refused(folder)


def test_rows_that_do_not_fit(folder: Path) -> None:
    save_file({"conv_out.weight": torch.zeros(1, 2, 3, 3)}, folder / "genkit.safetensors")
    assert "does not fit the UNet" in refused(folder)
    (folder / "genkit.safetensors").unlink()
    assert "of another shape: conv_out.weight" in refused(folder)


def test_a_chain_of_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = ddpm(Ancestral("5"), network={"classes": 3, "multipliers": [1.0, 2.0]}, steps=20)
    made.save_pretrained(tmp_path / "w")
    assert run(capsys, "export", tmp_path / "w", "--to", "diffusers", "--out", tmp_path / "p").code == 0
    assert run(capsys, "import", "diffusers/pipeline", tmp_path / "p", "--out", tmp_path / "again").code == 0
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "w" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    (tmp_path / "p" / "genkit.json").unlink()
    said = refusal(capsys, "import", "diffusers/pipeline", tmp_path / "p", "--out", tmp_path / "third")
    assert "config.pipeline" in said
