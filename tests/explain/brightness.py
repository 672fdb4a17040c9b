"""A generator by which a classifier of brightness is explained: everything about it is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genkit.classifiers.image_classifier import ImageClassifier

SIZE = 8


class Bright(ImageClassifier):
    """Logits (-m, m) times 4 of the mean m of an image."""

    def __init__(self) -> None:
        super().__init__((3, SIZE, SIZE), 2, 1, ("dark", "bright"))
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-4.0], [4.0]]))
            self.head.bias.zero_()

    def features(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None]


class Brightness(nn.Module):
    """Style "a" is (brightness, nothing); images are even, of that brightness."""

    attribute_layers = ("a",)
    sample_shape = (3, SIZE, SIZE)

    def __init__(self, classifier: nn.Module | None = None) -> None:
        super().__init__()
        self.classifier = classifier or Bright()
        self.device = torch.device("cpu")

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(x)
        return logits

    def encode(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, torch.zeros_like(mean)], 1)

    def joined(self, w: Tensor, p: Tensor) -> Tensor:
        return torch.cat([w, p], 1)

    def of_images(self, x: Tensor) -> Tensor:
        return self.joined(self.encode(x), self.logits(x).softmax(1))

    def styles_of(self, joined: Tensor) -> dict[str, Tensor]:
        return {"a": joined[:, :2], "a.torgb": joined[:, 2:]}

    def pictured_styles(self, styles: dict[str, Tensor], start: object = None) -> Tensor:
        return styles["a"][:, :1, None, None].expand(-1, 3, SIZE, SIZE).clamp(-1, 1)

    def reconstructed(self, x: Tensor) -> Tensor:
        return self.pictured_styles(self.styles_of(self.of_images(x)))
