"""Import of GAN-Control's generator; that it makes the recorded images is in tests/gan/control."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.foreign import load
from tests.cli.console import run
from tests.gan.control.fixture import CLOSE, read, split_of


def test_their_training_checkpoint_and_settings_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = read()
    g = {k.removeprefix("generator."): v for k, v in recorded.weights.items() if k.startswith("generator.")}
    torch.save({"g": g, "g_ema": g, "args": argparse.Namespace(size=32)}, tmp_path / "best.pt")
    settings = {
        "model_config": {"size": 32, "latent_size": 48, "n_mlp": 4, "conv_transpose": True, "vanilla": False},
        "training_config": {"batch": 16, "sub_groups_dict": recorded.config["sub_groups_dict"]},
    }
    (tmp_path / "args.json").write_text(json.dumps(settings))
    line = ["import", "gan_control/generator", tmp_path / "best.pt", "--config", tmp_path / "args.json"]
    ran = run(capsys, *line, "--part", "g_ema", "--out", tmp_path / "out")
    assert ran.code == 0, ran
    made: Any = Generator.from_pretrained(tmp_path / "out")
    assert {name: at.stop - at.start for name, at in made.network.slices.items()} == split_of(
        recorded.config["sub_groups_dict"]
    )
    latents = recorded.latents(recorded.io["in.z"])
    torch.testing.assert_close(made.network(latents), recorded.generator(latents), **CLOSE)
    assert made.network.w_avg.abs().max() > 0, "measured, as theirs is at every start"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, r"config\.sub_groups_dict: .* at least 1 item"),
        ({"a": {"place_in_latent": [0]}}, r"config\.sub_groups_dict\.a\.place_in_latent: .* at least 2 items"),
        ({"a": {"place_in_latent": [0, 9]}, "b": {"place_in_latent": [12, 48]}}, r"b: begins at 12 .* from 9 on"),
        ({"a": {"place_in_latent": [0, 48]}}, r"does not fit the layout: missing: style\.a\.1\.weight"),
    ],
)
def test_slices_that_are_not_those_of_the_checkpoint(groups: dict[str, Any], said: str) -> None:
    weights = {k: v for k, v in read().weights.items() if k.startswith("generator.")}
    with pytest.raises(WeightsError, match=said):
        load("gan_control/generator", weights, {"sub_groups_dict": groups})
