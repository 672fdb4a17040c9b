"""torchvision's residual networks (He et al. 2016, arXiv:1512.03385), starting from ImageNet weights, with a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.core.errors import WeightsError, first_line
from genkit.core.pretrained import Starting
from genkit.core.tensors import load_into
from genkit.gan.networks.critic import Critic
from genkit.images.pixels import to_unit
from genkit.layers.arguments import ImageSize

Layers = Literal[18, 34, 50, 101]
Start = Literal["imagenet", "random"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's intensities in [0, 1]: red, green, blue."""


class ImageNetResNetClassifier(ImageClassifier):
    """Colour images in [-1, 1], (B, 3, size, size) -> logits (B, classes).

    Args:
        classes: at least 2.
        layers: 18, 34, 50 or 101.
        size: side length in pixels; 224 in ImageNet training.
        start: "imagenet" fetches torchvision's IMAGENET1K_V1 weights once training begins; see `setup`.
        class_names: one name a class, for tables; empty when they have none.
    """

    def __init__(
        self,
        classes: Annotated[int, Field(ge=2, le=10_000)],
        layers: Layers = 50,
        size: ImageSize = 224,
        start: Start = "imagenet",
        class_names: Sequence[str] = (),
    ):
        trunk = ResNetTrunk(layers, start)
        super().__init__((3, size, size), classes, trunk.feature_dim, class_names)
        self.trunk = trunk
        self.head = nn.Linear(self.feature_dim, classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, feature_dim), not negative: 512 or, from 50 layers on, 2048 numbers."""
        return self.trunk(x)


class ImageNetResNetCritic(Critic):
    """Colour images in [-1, 1], (B, 3, size, size) -> a number each, as the weight network of Balaji et al. 2020.

    Args:
        layers: 18, 34, 50 or 101; the authors take 18.
        size: side length in pixels.
        start: as for ImageNetResNetClassifier.
    """

    def __init__(self, layers: Layers = 18, size: ImageSize = 224, start: Start = "imagenet"):
        trunk = ResNetTrunk(layers, start)
        super().__init__((3, size, size), trunk.feature_dim, 0)
        self.trunk = trunk

    def features(self, x: Tensor) -> Tensor:
        return self.trunk(x)


class ResNetTrunk(Starting, nn.Module):
    """All but the last layer: images in [-1, 1] -> the mean over pixels of the last map, (B, feature_dim)."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Layers, start: Start):
        super().__init__()
        from torchvision import models

        self.layers, self.start = layers, start
        self.network: Any = models.get_model(f"resnet{layers}", weights=None)
        self.feature_dim: int = self.network.fc.in_features
        self.network.fc = nn.Identity()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network((to_unit(x) - self.mean) / self.std)

    def setup(self) -> None:
        """The published weights, from torch's cache or the network, their hash checked; see `Starting`.

        Raises:
            WeightsError: not there and not to be downloaded, or damaged.
        """
        if self.start == "random":
            return
        from torchvision import models

        weights = models.get_model_weights(f"resnet{self.layers}").IMAGENET1K_V1
        try:
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
            load_into(self.network, {k: v for k, v in state.items() if not k.startswith("fc.")})
        except Exception as failure:  # network, disk, hash, or a damaged file
            raise WeightsError(
                f"ImageNet weights of resnet{self.layers} cannot be had ({first_line(failure)}); put {weights.url} "
                f"into {torch.hub.get_dir()}/checkpoints, or set start: random"
            ) from failure
