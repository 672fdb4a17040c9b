from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from genkit.core.catalog import build
from genkit.core.errors import GenkitError, RecipeError, WeightsError
from genkit.core.generator import Generator
from genkit.core.location import CONFIG, locate
from genkit.core.pretrained import Pretrained, name_classes
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator
from genkit.posthoc.directions.deformators import UnitColumns
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.own_generator import OwnGenerator
from genkit.posthoc.rejection.rejection import Rejection
from tests.posthoc.directions.test_spaces import Mine


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return GAN(MLPGenerator(3, 2, 4, 1)).save_pretrained(tmp_path / "weights")


def test_config_is_nested_and_holds_defaults(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    network = {"type": "mlp_generator", "latent_dim": 3, "dims": 2, "width": 4, "depth": 1, "classes": 0, "gain": 1.0}
    assert config == {"type": "gan", "network": network}
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_what_cannot_be_described_is_refused_before_anything_is_replaced(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    generator = Generator.from_pretrained(saved)
    for made, part in (
        (Rejection(generator, torch.nn.Linear(2, 1)), "a Linear"),
        (Directions(OwnGenerator(Mine()), UnitColumns(2, 5)), "a Mine"),
    ):
        with pytest.raises(GenkitError, match=rf"cannot be saved: it was made of {part}, which no config.json can"):
            made.save_pretrained(saved)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_run_folder_gives_its_weights(saved: Path) -> None:
    assert locate(saved.parent) == saved
    assert isinstance(Generator.from_pretrained(str(saved.parent)), GAN)


def test_another_class_is_refused(saved: Path) -> None:
    with pytest.raises(WeightsError, match="holds a GAN, not an MLPCritic"):
        MLPCritic.from_pretrained(saved)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def change_dtypes(folder: Path, dtype: torch.dtype) -> None:
    change_weights(folder, lambda state: state.update({k: v.to(dtype) for k, v in state.items()}))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_may_be_shipped_in_another_precision(dtype: torch.dtype, saved: Path) -> None:
    before = Generator.from_pretrained(saved).state_dict()
    change_dtypes(saved, dtype)
    after = Generator.from_pretrained(saved).state_dict()
    assert all(v.dtype == torch.float32 and v.equal(before[k].to(dtype).float()) for k, v in after.items())


def change_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)


def cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-3])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "damaged or not a safetensors file"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged or not a safetensors file"),
        (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors is missing"),
        (lambda f: change_weights(f, lambda s: s.pop("network.out.bias")), "missing 'network.out.bias'"),
        (lambda f: change_weights(f, lambda s: s.update(x=torch.ones(1))), "unexpected 'x'"),
        (lambda f: change_weights(f, lambda s: s.update({"network.out.bias": torch.ones(7)})), "of another shape"),
        (lambda f: change_weights(f, lambda s: s["network.out.bias"].fill_(float("nan"))), "not finite"),
        (lambda f: change_dtypes(f, torch.int64), "of another kind .*int64 instead of float32"),
        (lambda f: change_dtypes(f, torch.bool), "of another kind .*bool instead of float32"),
        (lambda f: change_dtypes(f, torch.complex64), "of another kind .*complex64 instead of float32"),
        (lambda f: change_dtypes(f, torch.float8_e4m3fn), "of another kind .*float8_e4m3fn instead of float32"),
        (lambda f: change_config(f, "{"), "cannot be read as JSON"),
        (lambda f: change_config(f, "[" * 10**5), "cannot be read as JSON .nested more than 64 deep"),
        (lambda f: change_config(f, '{"a":' * 900 + "1" + "}" * 900), "cannot be read as JSON .nested"),
        (lambda f: change_config(f, '{"type": ' + "9" * 6000 + "}"), "cannot be read as JSON .*6,000 digits"),
        (lambda f: change_config(f, '{"type": "gan", "type": "vae"}'), "'type' is given twice"),
        (lambda f: change_config(f, '{"type": "a\\u0000b"}'), r"type: holds U\+0000"),
        (lambda f: change_config(f, '{"type": "\\ud800"}'), r"type: holds U\+D800"),
        (lambda f: change_config(f, "[1]"), "needs a mapping"),
        (lambda f: change_config(f, '{"type": "os:system"}'), "unknown type 'os:system'"),
        (
            lambda f: change_config(f, '{"type": "gan", "network": {"type": "mlp_generator"}}'),
            "missing key 'latent_dim'",
        ),
    ],
)
def test_damage_is_one_line(damage: Callable[[Path], object], message: str, saved: Path) -> None:
    damage(saved)
    with pytest.raises(GenkitError, match=message) as error:
        Generator.from_pretrained(saved)
    assert "\n" not in str(error.value) and isinstance(error.value, (WeightsError, RecipeError))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".pkl", ".ckpt"])
def test_a_pickle_is_refused_and_not_run(
    suffix: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = saved / f"model{suffix}"
    bad.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match="pickles can run code and are refused: use 'genkit import"):
        Pretrained.from_pretrained(bad)
    (saved / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=f"found model{suffix}; pickles can run code"):
        Generator.from_pretrained(saved)
    bad.rename(saved / "model.safetensors")
    with pytest.raises(WeightsError, match="damaged or not a safetensors file"):
        Generator.from_pretrained(saved)
    assert not (tmp_path / "executed").exists()


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="no weights at nowhere; give a folder or one of the shipped"):
        locate("nowhere")
    monkeypatch.chdir(tmp_path)
    Path("Mine").mkdir()
    with pytest.raises(WeightsError, match=r"no weights at mine; give .* shipped; did you mean 'Mine'\?"):
        locate("mine")
    with pytest.raises(WeightsError, match=r"has no config\.json; it is neither a weights folder nor a run"):
        locate(tmp_path)


class TestClassNames:
    """They lie in config.json beside `type`, and whoever is built from there has them."""

    NAMES = ("cat", "dog", "eel")

    def products(self) -> list[Any]:
        """One of each kind that knows classes: GAN, diffusion model, classifier, classifier of noisy images."""
        torch.manual_seed(0)
        net = {
            "size": 8,
            "channels": 1,
            "width": 8,
            "multipliers": [1],
            "blocks": 1,
            "attention": [],
            "groups": 4,
            "head_width": 8,
        }
        process = {"type": "process", "steps": 40, "variance": "fixed_small"}
        specs = [
            {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3, "dims": 2, "width": 4, "classes": 3}},
            {"type": "ddpm", "network": {"type": "unet", **net, "classes": 3, "variance": False}, "process": process},
            {"type": "classifier", "size": 8, "width": 4, "classes": 3},
            {"type": "noisy_classifier", "network": {"type": "encoder_unet", **net, "classes": 3}, "process": process},
        ]
        specs[1]["solver"] = {"type": "ddim", "steps": "2"}
        return [build(spec) for spec in specs]

    def test_they_are_written_and_read_back(self, tmp_path: Path) -> None:
        for product in self.products():
            assert product.class_names == ()
            folder = product.save_pretrained(tmp_path / type(product).__name__)
            assert not json.loads((folder / CONFIG).read_text()).get("class_names")
            name_classes(product, self.NAMES)
            product.save_pretrained(folder)
            assert json.loads((folder / CONFIG).read_text())["class_names"] == list(self.NAMES)
            again = Pretrained.from_pretrained(folder)
            assert again.class_names == self.NAMES
            again.save_pretrained(folder)
            assert Pretrained.from_pretrained(folder).class_names == self.NAMES
            if isinstance(again, Generator):
                by_name = again.sample(2, condition={"label": "dog"}, rng=torch.Generator().manual_seed(0))
                by_number = again.sample(2, condition={"label": 1}, rng=torch.Generator().manual_seed(0))
                assert torch.equal(by_name, by_number)

    def test_guided_models_have_those_of_their_parts(self) -> None:
        from genkit.diffusion.classifier_guidance import ClassifierGuided

        _, ddpm, _, classifier = self.products()
        name_classes(ddpm, self.NAMES)
        assert ClassifierGuided(ddpm, classifier).class_names == self.NAMES

    @pytest.mark.parametrize("names", [["a"], ["a", "b", 3], "abc", {"a": 1}])
    def test_wrong_names_are_refused(self, names: object, tmp_path: Path) -> None:
        for product in self.products():
            path = product.save_pretrained(tmp_path / type(product).__name__) / CONFIG
            path.write_text(json.dumps(json.loads(path.read_text()) | {"class_names": names}))
            with pytest.raises(WeightsError, match=r"config\.json: class_names: .*names"):
                Pretrained.from_pretrained(path.parent)
