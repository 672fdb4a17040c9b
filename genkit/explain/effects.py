"""AttFind's search: what each coordinate of StyleSpace does to each logit. Lang et al. 2021, arXiv:2104.13369.

effect[n, d, s, y] = C_y(image n with coordinate s moved) - C_y(its reconstruction): towards the smallest value that the
coordinate has over the images (d = 0) or the largest (d = 1), so that every step is as large as the image allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genkit.core.crew import Crew
from genkit.core.fingerprint import fingerprint, weights_fingerprint
from genkit.core.progress import Progress
from genkit.core.styled import Styles
from genkit.explain.coordinates import StyleCoordinates
from genkit.explain.encoded import Encoded, Range, check_logits
from genkit.explain.explainable import Restartable
from genkit.explain.parts import Parts

PART = 2
"""Images whose effects are kept, and shared over processes, together."""
ROWS = 96
"""Changed images at a time."""


@dataclass(frozen=True)
class Effects:
    """The effects of all coordinates on some images.

    Attributes:
        effect: (N, 2, S, K) float32, in logits.
        logits: (N, K) of the reconstructions.
        range: of each coordinate.
    """

    effect: Tensor
    logits: Tensor
    range: Range
    coordinates: StyleCoordinates

    def towards(self, y: int) -> Tensor:
        """(n, 2, S): effects on the logit of class y, of the images that are not of it."""
        return self.effect[self.logits.argmax(1) != y, :, :, y]


def find_effects(
    encoded: Encoded,
    shift: float = 1.0,
    rows: int = ROWS,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Effects:
    """The effects on all images of `encoded`, each process computing its share of them; equal on all.

    Args:
        shift: share of the way to the smallest or largest value.
        rows: changed images at a time; changes speed alone.
        folder: keeps what is found, part by part, and goes on from there; each search has a folder of its own in it.
        progress: called with (passes done, in total), those of this process.

    Raises:
        EvaluationError: the classifier says no finite number of a changed image.
        CheckpointError: the folder cannot be written.
    """
    search = _Search(encoded, Range.of(encoded.flat), shift, rows)
    kept = Parts(folder, about(encoded, shift)) if folder else None
    parts = torch.arange(len(encoded)).split(PART)
    crew = Crew.of_launch()
    mine = [k for k in range(len(parts)) if crew.has(k)]
    passes, done, found = 2 * encoded.coordinates.count, 0, dict[int, Tensor]()
    total = passes * sum(len(parts[k]) for k in mine)
    for k in mine:
        part = kept.get(k, search.shape(len(parts[k]))) if kept else None
        if part is None:
            part = search.part(parts[k].tolist())
            if kept:
                kept.put(k, part)
        found[k] = part
        done += passes * len(part)
        if progress:
            progress(done, total)
    return Effects(torch.cat(crew.gathered(found)), encoded.logits, search.range, encoded.coordinates)


def about(encoded: Encoded, shift: float) -> dict[str, object]:
    """All that effects depend on."""
    return {
        "images": fingerprint(encoded.x),
        "generator": weights_fingerprint(encoded.generator),
        "coordinates": encoded.coordinates.channels,
        "shift": shift,
        "images_a_part": PART,
    }


class _Search:
    """The passes of one image after another."""

    def __init__(self, encoded: Encoded, range: Range, shift: float, rows: int):
        self.encoded, self.range, self.shift, self.rows = encoded, range, shift, rows
        self.generator = encoded.generator

    def shape(self, n: int) -> tuple[int, ...]:
        return n, 2, self.encoded.coordinates.count, self.encoded.logits.shape[1]

    @torch.inference_mode()
    def part(self, images: list[int]) -> Tensor:
        """Effects (n, 2, S, K) on some images."""
        found = torch.stack([self._of_image(n) for n in images])
        return found - self.encoded.logits[images][:, None, None]

    def _of_image(self, n: int) -> Tensor:
        """Logits (2, S, K) of image n with each coordinate moved either way."""
        styles = self.encoded.rows(torch.tensor([n]))
        values = torch.stack([bound.to(self.encoded.device) for bound in (self.range.low, self.range.high)])
        own = self.encoded.flat[n].to(self.encoded.device)
        values = own + self.shift * (values - own)
        found = [logits.float().cpu() for logits in self._passes(styles, values)]
        logits = torch.cat(found).unflatten(0, (-1, 2)).transpose(0, 1)
        check_logits(logits.flatten(0, 1), f"image {n} under a changed coordinate, number")
        return logits

    def _passes(self, styles: Styles, values: Tensor) -> Iterator[Tensor]:
        """Logits of the rows (0, low), (0, high), (1, low), ... of one image, batch by batch, `values` (2, S)."""
        restartable = isinstance(self.generator, Restartable)
        states = self.generator.halfway(styles) if restartable else {}  # type: ignore[attr-defined]
        for layer, part in self.encoded.coordinates.slices.items():
            to, each = values[:, part].T, max(self.rows // 2, 1)
            channels = torch.arange(len(to), device=to.device)
            for channel, value in zip(channels.split(each), to.split(each), strict=True):
                every = {name: style.expand(value.numel(), -1) for name, style in styles.items()}
                if restartable:
                    start = self.generator.moved(states[layer], styles[layer], channel, value)  # type: ignore[attr-defined]
                    images = self.generator.pictured_styles(every, start)  # type: ignore[call-arg]
                else:
                    changed = styles[layer].repeat(len(channel), 2, 1)
                    changed[torch.arange(len(channel)), :, channel] = value
                    images = self.generator.pictured_styles({**every, layer: changed.flatten(0, 1)})
                yield self.generator.logits(images)
