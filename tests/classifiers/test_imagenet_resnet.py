"""torchvision's ResNets as networks of genkit, and where their first weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.classifiers.imagenet_resnet import ImageNetResNetClassifier, ImageNetResNetCritic
from genkit.core.errors import WeightsError
from genkit.core.pretrained import Starting


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
    trunk.fetch_start()
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
    trunk.fetch_start()
    assert "url" not in published


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, **how: Any) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    (trunk,) = starting(ImageNetResNetCritic(layers=18, size=32))
    with pytest.raises(
        WeightsError, match=r"resnet18 cannot be had \(no route\); put https://.*or set start: random"
    ) as caught:
        trunk.fetch_start()
    assert "\n" not in str(caught.value)


def test_a_critic_gives_a_number_each() -> None:
    assert ImageNetResNetCritic(size=32, start="random").eval()(torch.randn(3, 3, 32, 32)).shape == (3,)
