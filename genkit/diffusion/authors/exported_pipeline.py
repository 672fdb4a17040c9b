"""A diffusion model of genkit as a pipeline of diffusers. This file needs diffusers alone.

genkit writes a copy of it, pipeline.py, into the folders that it exports and that diffusers' own DDPMPipeline and
DDIMPipeline cannot sample: of models that take labels, that see squares of pixels as channels, that see other
numbers than the scheduler counts, or that a scheduler without noise samples.
"""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    ImagePipelineOutput,
    SchedulerMixin,
    UNet2DModel,
)
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor

Streams = torch.Generator | list[torch.Generator] | None
LEARNED = ("learned", "learned_range")


class LabelledPatchPipeline(DiffusionPipeline):
    """Noise -> images, by a UNet2DModel and a scheduler, both as diffusers knows them.

    Args:
        unet: of `patch**2` times the image's channels, at a `patch`-th of its side.
        scheduler: any one of diffusers; DDIM derives the noise again from the clipped image.
        patch: side of the squares of pixels that are the channels of the UNet.
        steps: network evaluations when a call does not say how many.
        eta: of DDIM.
        timesteps: the number that the UNet sees at each of the scheduler's steps; None where it is the step's own.
        no_label: the label that stands for none; None where the UNet knows no such label.
    """

    unet: Any
    scheduler: Any

    model_cpu_offload_seq = "unet"  # type: ignore[assignment]

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: SchedulerMixin,
        patch: int = 1,
        steps: int = 50,
        eta: float = 0.0,
        timesteps: list[float] | None = None,
        no_label: int | None = None,
    ):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)
        self.register_to_config(patch=patch, steps=steps, eta=eta, timesteps=timesteps, no_label=no_label)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        config, patch = self.unet.config, self.config["patch"]
        size = config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return config.in_channels // patch**2, height * patch, width * patch

    def predict(self, x: torch.Tensor, t: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The UNet's answer to images (B, C, H, W) at the scheduler's time step t: (B, C or 2C, H, W)."""
        timesteps = self.config["timesteps"]
        seen = t if timesteps is None else torch.tensor(timesteps[int(t)], device=x.device)
        folded = self.unet(F.pixel_unshuffle(x, self.config["patch"]), seen, class_labels=labels).sample
        return F.pixel_shuffle(folded, self.config["patch"])

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int | None = None,
        labels: int | list[int] | None = None,
        guidance_scale: float = 1.0,
        generator: Streams = None,
        num_inference_steps: int | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> Any:
        """Images.

        Args:
            batch_size: number of images; when not given, that of the labels, else 1.
            labels: of each image, or one for all; None samples without a label.
            guidance_scale: away from what the UNet says without a label, towards what it says with one: 0 is without,
                1 with, more exaggerates.
            generator: one for all images, or one for each.
            num_inference_steps: network evaluations; None is as many as the model was exported with.
            output_type: "pil", "np" ((B, H, W, C) in [0, 1]) or "pt" ((B, C, H, W) in [0, 1]).
            return_dict: an ImagePipelineOutput; else a tuple of the images.

        Raises:
            ValueError: labels that the UNet does not take, or none where it needs them.
        """
        count = batch_size or (len(labels) if isinstance(labels, list) else 1)
        device, network = self._execution_device, self._guided(self._labels(labels, count), guidance_scale)
        x = randn_tensor((count, *self.image_shape), generator=generator, device=device, dtype=self.unet.dtype)
        self.scheduler.set_timesteps(num_inference_steps or self.config["steps"])
        for t in self.progress_bar(self.scheduler.timesteps):
            answer = self._sampled(network(x, t), x)
            x = self.scheduler.step(answer, t, x, **self._step_arguments(generator)).prev_sample
        images = (x / 2 + 0.5).clamp(0, 1)
        if output_type != "pt":
            images = images.cpu().permute(0, 2, 3, 1).float().numpy()
        images = self.numpy_to_pil(images) if output_type == "pil" else images
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _labels(self, labels: int | list[int] | None, count: int) -> torch.Tensor | None:
        """(count,) int64, or None for an unconditional UNet."""
        classes, none = self.unet.config.num_class_embeds, self.config["no_label"]
        if classes is None and labels is not None:
            raise ValueError("this model takes no labels; leave them out")
        if classes is None:
            return None
        if labels is None and none is None:
            raise ValueError(f"this model needs labels, whole numbers below {classes}")
        given = none if labels is None else labels
        rows = [given] * count if isinstance(given, int) else list(given)  # type: ignore[arg-type]
        if len(rows) != count or not all(0 <= row < classes for row in rows):
            raise ValueError(f"{count} labels from 0 to {classes - 1} are needed, got {rows}")
        return torch.tensor(rows, device=self._execution_device)

    def _guided(self, labels: torch.Tensor | None, scale: float) -> Any:
        """The guided network, (x, t) -> (B, C or 2C, H, W)."""
        if scale == 1:
            return lambda x, t: self.predict(x, t, labels)
        if labels is None or self.config["no_label"] is None:
            trained = "without labels" if labels is None else "with labels alone"
            raise ValueError(f"guidance_scale: this model was trained {trained}; leave it at 1")
        none = torch.full_like(labels, self.config["no_label"])
        if scale == 0:
            return lambda x, t: self.predict(x, t, none)

        def guided(x: torch.Tensor, t: Any) -> torch.Tensor:
            with_label, without = self.predict(torch.cat([x, x]), t, torch.cat([labels, none])).chunk(2)
            channels = x.shape[1]
            prediction = without[:, :channels] + scale * (with_label[:, :channels] - without[:, :channels])
            return torch.cat([prediction, with_label[:, channels:]], 1)

        return guided

    def _sampled(self, answer: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The answer, without its variance channels where the scheduler does not sample the variance."""
        variance = self.scheduler.config.get("variance_type")
        sampled = isinstance(self.scheduler, DDPMScheduler) and variance in LEARNED
        return answer if sampled else answer[:, : x.shape[1]]

    def _step_arguments(self, generator: Streams) -> dict[str, Any]:
        taken = inspect.signature(self.scheduler.step).parameters
        arguments: dict[str, Any] = {"generator": generator} if "generator" in taken else {}
        if isinstance(self.scheduler, DDIMScheduler):
            arguments |= {"eta": self.config["eta"], "use_clipped_model_output": True}
        return arguments
