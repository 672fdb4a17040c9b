from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genkit.core import hub, pretrained
from genkit.core.catalog import build, check
from genkit.core.errors import GenkitError, RecipeError, WeightsError
from genkit.core.frozen import is_frozen
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained, save_products
from genkit.core.reference import below
from tests.contracts.specs import DDPM, NETWORKS, NOISY, seeded

GUIDED: dict[str, Any] = {"type": "classifier_guided", "generator": DDPM}


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return seeded(NOISY).save_pretrained(tmp_path / "noisy")


def guided(source: str | Path) -> dict[str, Any]:
    return {**GUIDED, "classifier": {"weights": str(source)}}


def test_a_part_is_loaded_frozen_and_recorded(noisy: Path, tmp_path: Path) -> None:
    made = build(guided(noisy))
    kept = Pretrained.from_pretrained(noisy)
    assert all(v.equal(kept.state_dict()[k]) for k, v in made.classifier.state_dict().items())
    assert is_frozen(made.classifier) and not made.classifier.training and not is_frozen(made.generator)
    folder = made.save_pretrained(tmp_path / "guided")
    config = json.loads((folder / "config.json").read_text())
    assert config["classifier"] == kept.config
    (noisy / "model.safetensors").unlink()
    (noisy / "config.json").unlink()
    again, rng = Generator.from_pretrained(folder), torch.Generator()
    want = made.sample(2, condition={"label": 1}, rng=rng.manual_seed(0))
    assert again.sample(2, condition={"label": 1}, rng=rng.manual_seed(0)).equal(want)


def test_it_draws_no_random_number(noisy: Path) -> None:
    torch.manual_seed(0)
    build(guided(noisy))
    after = torch.rand(1)
    torch.manual_seed(0)
    build(DDPM)
    assert torch.rand(1).equal(after)


def test_its_tensors_are_read_once_and_a_check_reads_none(noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, honest = list[Path](), pretrained.load_file
    monkeypatch.setattr(pretrained, "load_file", lambda path: (reads.append(path), honest(path))[1])
    check(guided(noisy))
    assert not reads
    build(guided(noisy))
    assert reads == [noisy / "model.safetensors"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"weights": "{gan}"}, "classifier: .*holds a Classifier, not a NoisyClassifier"),
        ({"weights": "/nowhere"}, "classifier: no weights at /nowhere"),
        ({"weights": 5}, r"classifier\.weights: needs a name or a path, got 5"),
        ({"weights": ""}, r"classifier\.weights: needs a name or a path"),
        ({"weights": "{noisy}", "scale": 1}, r"classifier\.scale: unknown key"),
        ({"weights": "{noisy}", "product": "critic"}, "has no product 'critic'; it keeps one product"),
        ({"weights": "{noisy}", "product": "../noisy"}, "has no product"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_built(
    part: dict[str, Any], message: str, noisy: Path, tmp_path: Path
) -> None:
    other = seeded(NETWORKS["classifier"][0]).save_pretrained(tmp_path / "plain")
    names = {"{gan}": str(other), "{noisy}": str(noisy)}
    spec = {**GUIDED, "classifier": {k: names.get(v, v) for k, v in part.items()}}
    with pytest.raises(GenkitError, match=message) as error:
        check(spec)
    assert "\n" not in str(error.value)


def test_products_are_told_apart_by_name(tmp_path: Path) -> None:
    plain, noisy = seeded(NETWORKS["classifier"][0]), seeded(NOISY)
    save_products({"plain": plain, "noisy": noisy}, tmp_path)
    assert type(Pretrained.from_pretrained(tmp_path)) is type(plain)
    for part in ({"weights": str(tmp_path), "product": "noisy"}, {"weights": str(tmp_path / "noisy")}):
        assert type(build({**GUIDED, "classifier": part}).classifier) is type(noisy)
    with pytest.raises(RecipeError, match="holds a Classifier"):
        build({**GUIDED, "classifier": {"weights": str(tmp_path), "product": "plain"}})
    with pytest.raises(WeightsError, match="has no product 'critic'; it keeps plain, noisy"):
        build({**GUIDED, "classifier": {"weights": str(tmp_path), "product": "critic"}})


def referring(folder: Path, source: str) -> Path:
    """A config.json that names weights; all its own tensors are in the file beside it."""
    made = seeded(DDPM)
    made.save_pretrained(folder)
    tensors = {f"generator.{k}": v.contiguous() for k, v in made.state_dict().items()}
    pretrained.write_atomically(folder / "model.safetensors", pretrained.save(tensors))
    (folder / "config.json").write_text(json.dumps(guided(source)))
    return folder


def test_a_configuration_may_name_weights_inside_its_folder(tmp_path: Path) -> None:
    seeded(NOISY).save_pretrained(tmp_path / "here" / "parts" / "noisy")
    found: Any = Pretrained.from_pretrained(referring(tmp_path / "here", "parts/noisy"))
    want = seeded(NOISY).state_dict()
    assert all(v.equal(want[k]) for k, v in found.classifier.state_dict().items())
    again: Any = Pretrained.from_pretrained(found.save_pretrained(tmp_path / "alone"))
    assert all(v.equal(want[k]) for k, v in again.classifier.state_dict().items())


@pytest.mark.parametrize("source", ["../noisy", "{absolute}", "link", ".", "parts/../../noisy"])
def test_a_configuration_makes_nothing_outside_its_folder_be_read(source: str, noisy: Path, tmp_path: Path) -> None:
    here = referring(tmp_path / "here", source.replace("{absolute}", str(noisy)))
    (here / "link").symlink_to(noisy)
    with pytest.raises(WeightsError, match="outside its folder, which are not read") as error:
        Pretrained.from_pretrained(here)
    assert "\n" not in str(error.value)


def test_a_configuration_makes_nothing_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetch", lambda name: pytest.fail("a download"))
    with pytest.raises(WeightsError, match=r"no weights at .*here/owner/name"):
        Pretrained.from_pretrained(referring(tmp_path / "here", "owner/name"))


def test_a_configuration_may_name_shipped_weights(tmp_path: Path) -> None:
    here = referring(tmp_path / "here", "fashion-mnist-noisy-classifier")
    with pytest.raises(GenkitError, match="another process"):  # it has been read, and does not fit
        Pretrained.from_pretrained(here)


def test_paths_of_a_file_are_relative_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    tree = {
        "a": {"weights": "runs/a"},
        "b": [{"weights": "mnist-classifier", "product": "x"}],
        "c": {"weights": "./no"},
    }
    found = below({**tree, "weights": {"lr": 1}, "hub": {"weights": "owner/name"}}, tmp_path)
    assert found["a"]["weights"] == str(tmp_path / "runs/a") and found["c"]["weights"] == str(tmp_path / "no")
    assert found["b"] == tree["b"] and found["hub"] == {"weights": "owner/name"} and found["weights"] == {"lr": 1}
    assert below(found, tmp_path / "elsewhere") == found


def test_modules_that_are_no_part_are_left_alone() -> None:
    with pytest.raises(RecipeError, match="needs the key 'type'"):
        build({"weights": "mnist-classifier"}, makes=nn.Module)
