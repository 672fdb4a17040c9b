from __future__ import annotations

import json
import textwrap

import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

from genkit.cli.import_ import command
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.foreign import example_settings, home, import_checkpoint, layouts, load
from tests.cli.console import run
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


@pytest.mark.parametrize("layout", layouts())
def test_info_shows_settings_that_the_layout_takes(layout, capsys):
    ran = run(capsys, "info", layout)
    assert ran.code == 0
    example = example_settings(layout)
    if not getattr(home(layout), "needs_config", True) or hasattr(home(layout), "read_folder"):
        assert example is None and "none are needed" in ran.out
        return
    option, settings = example
    assert f"{option} FILE, such as" in ran.out
    told = ran.out.partition("such as\n")[2].partition("\nthe same")[0].partition("\npapers")[0]
    assert yaml.safe_load(textwrap.dedent(told)) == settings
    if option == "--config":  # those of flags: tests/diffusion/authors/test_script_flags.py
        with pytest.raises(WeightsError, match="the checkpoint does not fit the layout: missing"):
            load(layout, {}, settings)
    else:
        assert f"--{next(iter(settings))} {next(iter(settings.values()))} --" in ran.out
