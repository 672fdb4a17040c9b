"""Upsampling of small images, and cascades. Dhariwal & Nichol 2021, arXiv:2105.05233, Sec. 4.3; Nichol & Dhariwal
2021, arXiv:2102.09672, Sec. 6, after Saharia et al. 2021, arXiv:2104.07636."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.columns.images import Images
from genkit.core.condition import Condition, ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError, kind_of
from genkit.core.generator import Generator
from genkit.core.progress import Progress
from genkit.core.randomness import Rows
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.diffusion.networks.unet import SuperResolutionUNet
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Solver, silence

LOW_RES = "low_res"
PAIRS, PAIRS_A_ROW = 32, 4


class Upsampler(DDPM):
    """Large images from noise and a small image, the condition `low_res`.

    Training makes the small images from the large ones by means over areas, without rounding or noise, as the authors
    do.

    Args:
        network: predicts from (x_t, t, label, low_res); twice the channels where the process learns its variance.
        process: the noise of the large images.
        solver: draws the samples; None is ancestral sampling over all steps.

    Raises:
        RecipeError: the network has no output for the variance that the process learns.
    """

    made = (LOW_RES,)
    shows = "Pairs: low_res enlarged bilinearly, and beside it the sample"

    network: SuperResolutionUNet

    def __init__(self, network: SuperResolutionUNet, process: Process, solver: Solver | None = None):
        super().__init__(network, process, solver)
        self.conditions = ConditionSpace({**self.conditions, LOW_RES: Images(network.low_shape)})

    def condition_of(self, x: Tensor) -> Condition:
        return {LOW_RES: F.interpolate(x, self.network.low_shape[1:], mode="area")}

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """Pairs: a small image, enlarged bilinearly, and the sample that enlarges it."""
        wanted = self.conditions.resolve(None, PAIRS, Rows(PAIRS, rng))
        made = self.shared_sample(PAIRS, crew, condition=wanted, rng=rng)
        large = F.interpolate(wanted[LOW_RES], made.shape[-2:], mode="bilinear")
        return torch.stack([large, made], 1).flatten(0, 1), 2 * PAIRS_A_ROW


class Cascade(Generator):
    """Images of a generator, enlarged by an upsampler; conditions such as class labels go to both.

    The small images are handed over as they are; the authors' scripts cut them to 8 bits first.

    Args:
        base: makes the small images.
        upsampler: takes them as its condition `low_res`; it may be guided, and so may the base if it is a diffusion
            model. The paper guides the base alone.

    Raises:
        GenkitError: the upsampler takes no such images, or of another shape, or the two have different classes.
    """

    def __init__(self, base: Generator, upsampler: DiffusionGenerator):
        super().__init__()
        self.base, self.upsampler = base, upsampler
        self._watch: Progress = silence
        self.sample_shape, self.made = upsampler.sample_shape, base.made
        _check_fit(base, upsampler)
        theirs = {name: column for name, column in upsampler.conditions.items() if name != LOW_RES}
        self.conditions = ConditionSpace({**theirs, **base.conditions})

    @property
    def watch(self) -> Progress:
        """Called after every step; each stage counts for half of the steps."""
        return self._watch

    @watch.setter
    def watch(self, watch: Progress) -> None:
        self._watch = watch
        if hasattr(self.base, "watch"):
            self.base.watch = lambda done, total: watch(done, 2 * total)  # type: ignore[assignment]
        self.upsampler.watch = lambda done, total: watch(total + done, 2 * total)

    def condition_of(self, x: Tensor) -> Condition:
        return self.base.condition_of(self.upsampler.condition_of(x)[LOW_RES])

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        low = self.base._sample({name: condition[name] for name in self.base.conditions}, rows).float()
        asked = {name: condition[name] for name in self.upsampler.conditions if name != LOW_RES}
        return self.upsampler._sample({**asked, LOW_RES: low}, rows)


def _check_fit(base: Generator, upsampler: DiffusionGenerator) -> None:
    taken = upsampler.conditions.get(LOW_RES)
    if not isinstance(taken, Images):
        raise GenkitError(f"upsampler: {kind_of(upsampler)} takes no {LOW_RES}; give an upsampler")
    if tuple(base.sample_shape) != taken.shape:
        raise GenkitError(f"the base makes {list(base.sample_shape)}, but the upsampler takes {list(taken.shape)}")
    classes = base.conditions.classes, upsampler.conditions.classes
    if all(classes) and classes[0] != classes[1]:
        raise GenkitError(f"the base knows {classes[0]} classes, but the upsampler {classes[1]}")
