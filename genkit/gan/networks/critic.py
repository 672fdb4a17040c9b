"""The contract of critics, discriminators and auxiliary real/fake classifiers: a real number per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from genkit.core.pretrained import Pretrained
from genkit.core.processes import dropout
from genkit.layers.arguments import check_classes, labels


class Critic(Pretrained, nn.Module, ABC):
    """A sample (B, *sample_shape), and a label where there are classes, -> a score (B,), unbounded.

    With classes the score is the projection discriminator's: head(h) + <embedding(label), h> (Miyato and Koyama 2018,
    equation 3).

    Attributes:
        sample_shape: shape of one sample.
        classes: number of classes, 0 when unconditional.
        feature_dim: width of the features h.
    """

    def __init__(self, sample_shape: tuple[int, ...], feature_dim: int, classes: int):
        super().__init__()
        self.sample_shape, self.feature_dim, self.classes = sample_shape, feature_dim, check_classes(classes)
        head = nn.Linear(feature_dim, 1)
        self.head: nn.Module = head
        self.embedding = nn.Embedding(classes, feature_dim) if classes else None
        nn.init.xavier_uniform_(head.weight)
        if self.embedding is not None:
            nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, x: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """Scores (B,) of x, with a graph.

        Raises:
            ConditionError: a critic with classes and no label.
        """
        return self.score(self.features(x), condition)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """(B, *sample_shape) -> h (B, feature_dim), which with the label decides the score."""

    def score(self, features: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """The scores (B,) that go with h = `features`, so that one pass gives both."""
        score: Tensor = self.head(features).squeeze(1)
        if self.embedding is None:
            return score
        return score + (self.embedding(labels(condition)) * features).sum(dim=1)


class AlwaysDropout(nn.Module):
    """Dropout in training and in eval mode, as the critic of CT-GAN uses it.

    Wei et al. 2018, section 3.2: the consistency term compares two noisy passes, and its authors' code leaves the
    noise on in the penalty and in the generator's step. See `genkit.core.processes.dropout`.

    Args:
        rate: share of the values set to zero, in [0, 1).
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate)
