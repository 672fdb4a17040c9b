"""torchvision's ResNets as networks of genkit, and where their first weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torchvision import models

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.classifiers.imagenet_resnet import ImageNetResNetClassifier, ImageNetResNetCritic
from genkit.core.errors import WeightsError
from genkit.core.frozen import freeze
from genkit.core.pretrained import Starting
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """torch.hub answers with the state of this network; what it was asked for is noted."""
    torch.manual_seed(3)
    asked: dict[str, Any] = {"network": models.resnet18(weights=None).eval()}

    def answer(url: str, **how: Any) -> dict[str, torch.Tensor]:
        asked.update(url=url, how=how)
        return asked["network"].state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", answer)
    return asked


def starting(network: torch.nn.Module) -> list[Starting]:
    return [module for module in network.modules() if isinstance(module, Starting)]


def test_features_are_torchvisions_of_normalised_images(published: dict[str, Any]) -> None:
    network = ImageNetResNetClassifier(5, layers=18, size=32).eval()
    (trunk,) = starting(network)
    trunk.setup()
    assert published["url"].endswith("resnet18-f37072fd.pth")
    assert published["how"]["check_hash"] and published["how"]["weights_only"]
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    reference = published["network"]
    reference.fc = torch.nn.Identity()
    torch.testing.assert_close(network.features(x), reference(((x + 1) / 2 - mean) / std))
    assert network(x).shape == (2, 5) and network.feature_dim == 512


def test_nothing_is_fetched_to_build_save_or_load(published: dict[str, Any], tmp_path: Path) -> None:
    network = ImageNetResNetClassifier(5, layers=18, size=32).eval()
    again = ImageClassifier.from_pretrained(network.save_pretrained(tmp_path))
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)
    assert "url" not in published


def test_a_random_start_fetches_nothing(published: dict[str, Any]) -> None:
    (trunk,) = starting(ImageNetResNetCritic(layers=18, size=32, start="random"))
    trunk.setup()
    assert "url" not in published


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, **how: Any) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    (trunk,) = starting(ImageNetResNetCritic(layers=18, size=32))
    with pytest.raises(
        WeightsError, match=r"resnet18 cannot be had \(no route\); put https://.*or set start: random"
    ) as caught:
        trunk.setup()
    assert "\n" not in str(caught.value)


def test_a_critic_gives_a_number_each() -> None:
    assert ImageNetResNetCritic(size=32, start="random").eval()(torch.randn(3, 3, 32, 32)).shape == (3,)


def test_only_what_learns_starts_from_them_when_a_training_is_prepared(
    published: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished network inside a system is frozen, and keeps the weights that it has."""
    part = {"type": "imagenet_resnet_classifier", "classes": 10, "layers": 18, "size": 32}
    tree = {
        "name": "tiny",
        "data": {"type": "digits", "split": "test", "size": 32, "channels": 3},
        "system": {"type": "classifier_training", "classifier": part},
        "optimizers": {"classifier": {"type": "sgd", "lr": 0.1}},
        "train": {"steps": 1, "batch_size": 2},
    }
    finished = ImageNetResNetClassifier(10, layers=18, size=32)
    before = starting(finished)[0].network.conv1.weight.clone()
    build = Recipe.build_system

    def with_teacher(recipe: Recipe) -> Any:
        system = build(recipe)
        system.teacher = freeze(finished)
        return system

    monkeypatch.setattr(Recipe, "build_system", with_teacher)
    _, trainer = prepare(Recipe.from_dict(tree), Accelerator(cpu=True))
    want = published["network"].conv1.weight
    assert starting(trainer.system.classifier)[0].network.conv1.weight.equal(want)  # type: ignore[arg-type]
    assert starting(finished)[0].network.conv1.weight.equal(before) and not before.equal(want)
