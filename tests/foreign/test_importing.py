from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from genkit.cli.import_ import command
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.foreign import import_checkpoint, load
from tests.shared import shared

FILES = ("fixtures", "ratio_clipping", "networks")


@pytest.fixture
def config():
    return json.loads(shared(*FILES, "config.json").read_text())


@pytest.fixture
def checkpoint():
    return shared(*FILES, "weights.safetensors")


def test_a_generator_can_be_sampled(checkpoint, config, tmp_path):
    import_checkpoint("ppogan/generator", checkpoint, config, tmp_path / "cifar")
    generator = Generator.from_pretrained(tmp_path / "cifar")
    x = generator.sample(3, rng=torch.Generator().manual_seed(0))
    assert x.shape == (3, 3, 32, 32)
    z = torch.randn(2, 10)
    torch.testing.assert_close(generator(z), load("ppogan/generator", load_file(checkpoint), config)(z))
    assert "ppogan/generator" in (tmp_path / "cifar" / "README.md").read_text()


@pytest.mark.parametrize("layout", ["ppogan/critic", "ppogan/classifier"])
def test_a_critic_is_saved_as_our_network(layout, checkpoint, config, tmp_path):
    import_checkpoint(layout, checkpoint, config, tmp_path / "w")
    x = torch.randn(2, 3, 32, 32)
    ours, theirs = Pretrained.from_pretrained(tmp_path / "w"), load(layout, load_file(checkpoint), config)
    torch.testing.assert_close(ours(x), theirs.network(x), rtol=0, atol=0)


def test_a_used_folder_is_refused_and_failure_writes_nothing(checkpoint, config, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with pytest.raises(WeightsError, match="not empty"):
        import_checkpoint("ppogan/generator", checkpoint, config, tmp_path / "used")
    with pytest.raises(WeightsError, match="nz"):
        import_checkpoint("ppogan/generator", checkpoint, config | {"nz": "many"}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command(config, tmp_path):
    torch.save({"netG": load_file(shared(*FILES, "weights.safetensors")), "n": {"x": torch.ones(1)}}, tmp_path / "c.pt")
    (tmp_path / "conf.yml").write_text(json.dumps(config))
    arguments = ["ppogan/generator", str(tmp_path / "c.pt"), "--config", str(tmp_path / "conf.yml")]
    result = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "w"), "--part", "netG"])
    assert result.exit_code == 0, result.output
    assert "GAN" in result.output and Generator.from_pretrained(tmp_path / "w").sample_shape == (3, 32, 32)
    failed = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "v")])
    assert isinstance(failed.exception, WeightsError)
