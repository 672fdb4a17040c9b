"""Images as a generator encodes them, and what becomes of them when some coordinates of their styles are changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.core.styled import Styles
from genkit.explain.coordinates import StyleCoordinates
from genkit.explain.explainable import Explainable, searched_layers

BATCH = 64
"""Images at a time."""


@dataclass(frozen=True)
class Step:
    """One coordinate, and whether it goes towards its smallest value over the images (0) or its largest (1)."""

    direction: int
    s: int


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value of each coordinate over the images searched: low and high, (S,)."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, flat: Tensor) -> Range:
        return cls(*flat.cpu().aminmax(dim=0))

    def moved(self, flat: Tensor, steps: Sequence[Step], shift: float) -> Tensor:
        """Coordinates (B, S) after s + shift (target - s) for each of `steps`; of two of one coordinate the first."""
        moved, seen = flat.clone(), set[int]()
        for step in steps:
            if step.s not in seen:
                target = (self.high if step.direction else self.low)[step.s].item()
                moved[:, step.s] = flat[:, step.s] + shift * (target - flat[:, step.s])
                seen.add(step.s)
        return moved

    def moved_each(self, flat: Tensor, s: Tensor, upwards: Tensor, shift: float) -> Tensor:
        """As `moved`, by coordinates of each row's own: s and whether each goes towards its largest value, (B, k)."""
        target = torch.where(upwards, self.high[s], self.low[s])
        return flat.scatter(1, s, torch.lerp(flat.gather(1, s), target, shift))


class Encoded:
    """N images, their styles, and what the classifier says of them and of their reconstructions.

    Args:
        batch: images at a time.
        colours: whether styles of the generator's colour layers are searched too; the authors leave them out.

    Attributes:
        x: (N, C, H, W) in [-1, 1], on the CPU like all that follows.
        styles: layer -> (N, channels).
        flat: (N, S), the coordinates searched.
        seen, logits: (N, K), of the images and of their reconstructions.

    Raises:
        EvaluationError: an image of which the classifier says no finite number, or fewer than two classes.
    """

    def __init__(self, generator: Explainable, x: Tensor, batch: int = BATCH, colours: bool = True):
        self.generator, self.x, self.batch = generator, x, batch
        self.device = getattr(generator, "device", x.device)
        with torch.no_grad():
            self.seen = torch.cat([generator.logits(rows.to(self.device)).float().cpu() for rows in x.split(batch)])
            check_logits(self.seen, "image")
            styles = [generator.styles_of(generator.of_images(rows.to(self.device))) for rows in x.split(batch)]
        self.styles: Styles = {name: torch.cat([part[name].cpu() for part in styles]) for name in styles[0]}
        self.coordinates = StyleCoordinates.of(self.styles, searched_layers(generator, colours))
        self.flat = self.coordinates.flat(self.styles)
        self.logits = torch.cat([logits for _, logits in self.pictured()])
        check_logits(self.logits, "the reconstruction of image")

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor, device: torch.device | None = None) -> Styles:
        """Styles of some images."""
        return {name: style[index].to(device or self.device) for name, style in self.styles.items()}

    @torch.no_grad()
    def pictured(self, index: Tensor | None = None, flat: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """(images, logits) on the CPU, batch by batch, of the images `index` with coordinates `flat` in place."""
        index = torch.arange(len(self)) if index is None else index
        flat = self.flat[index] if flat is None else flat
        for rows, values in zip(index.split(self.batch), flat.split(self.batch), strict=True):
            styles = self.coordinates.put(self.rows(rows), values.to(self.device))
            images = self.generator.pictured_styles(styles)
            yield images.float().cpu(), self.generator.logits(images).float().cpu()

    def after(self, index: Tensor, flat: Tensor) -> Tensor:
        """Logits (n, K) of the images `index` with coordinates `flat`."""
        found = [logits for _, logits in self.pictured(index, flat)]
        return torch.cat(found) if found else self.logits[:0]

    def images(self, index: Tensor | None = None, flat: Tensor | None = None) -> Tensor:
        """Pictures (n, C, H, W) in [-1, 1], as `pictured`."""
        return torch.cat([images for images, _ in self.pictured(index, flat)])

    def outside(self, y: int) -> Tensor:
        """Numbers of the images whose reconstruction is not of class y."""
        return (self.logits.argmax(1) != y).nonzero().flatten()


def check_logits(logits: Tensor, what: str) -> None:
    """Raises EvaluationError for logits that are not finite, or of a single class."""
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise EvaluationError(f"the classifier gives {list(logits.shape)}; logits of at least 2 classes are wanted")
    bad = ~logits.isfinite().all(1)
    if bad.any():
        k = int(bad.nonzero()[0])
        raise EvaluationError(
            f"the classifier says {logits[k].tolist()} of {what} {k}; finite logits are wanted: mend it, or leave the "
            "image out"
        )
