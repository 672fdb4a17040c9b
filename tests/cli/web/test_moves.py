"""Directions in the page: those of the chosen weights alone, and the picture is that of the commands below it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import torch

from genkit.cli.result_file import write_json
from genkit.cli.web.library import Library
from genkit.cli.web.moves import MOST, SCORES, moves_of
from genkit.cli.web.pictures import samples
from genkit.cli.web.wishes import Wishes
from genkit.posthoc.directions.deformators import FixedDirections
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.directions_folder import write_directions
from tests.cli.console import run
from tests.contracts.specs import GENERATOR_SPECS, seeded


def test_samples_are_moved_as_by_genkit_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = {"type": "gan", "network": {"type": "dcgan_generator", "latent_dim": 3, "size": 8, "width": 4}}
    generator, other = seeded(spec), seeded(spec, 1)
    generator.save_pretrained("gan")
    found = Directions(generator, FixedDirections.of(torch.eye(3)[:2]), names=["bold"])
    write_directions(tmp_path / "found", found, "random")
    moves = moves_of(Library(Path()), generator)
    assert list(moves.named) == ["found: bold", "found: direction 1"]
    assert moves_of(Library(Path()), other).named == {}
    assert moves_of(Library(Path()), seeded(GENERATOR_SPECS["ddpm-0"])).knobs() == []
    assert moves.move(None) is None and moves.move(("found: bold", 0.0)) is None
    write_json(
        tmp_path / "found" / SCORES, {"directions": [{"number": 1, "strongest": "area", "moves": {"area": -0.5}}]}
    )
    assert list(moves_of(Library(Path()), generator).named) == ["found: bold", "found: direction 1 (area -0.50)"]
    move = moves.move(("found: direction 1", MOST))
    assert move and move.words == "moved by 6 along direction 1 of found"
    still, drawn = samples("gan", Wishes(4, 3)), samples("gan", Wishes(4, 3, move=move))
    assert drawn.png != still.png
    lines = drawn.command.splitlines()
    assert len(lines) == 2
    for line in lines:
        ran = run(capsys, *shlex.split(line)[1:])
        assert ran.code == 0, ran.err
    assert (tmp_path / "samples" / "grid.png").read_bytes() == drawn.png
