"""A pipeline folder of diffusers (DDPMPipeline or DDIMPipeline) as a DDPM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.documents import Unreadable, read_json
from genkit.core.errors import RecipeError, WeightsError, kind_of
from genkit.core.pretrained import built
from genkit.diffusion.authors.diffusers_note import NOTE, noted_generator, with_variance
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.networks.diffusers_unet import DiffusersUNet
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.process import Beta, Process
from genkit.diffusion.schedules import SCHEDULES, cosine_betas
from genkit.diffusion.solvers import DDIM, Ancestral, Solver
from genkit.foreign.authors_checkpoint import read_checkpoint
from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import load_named

WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
STEPS = {"DDPMPipeline": 1000, "DDIMPipeline": 50}
"""Number of steps of a pipeline class when the caller gives none."""


class SchedulerSettings(Settings):
    """Settings of DDPMScheduler and DDIMScheduler that this toolkit can reproduce; others are refused."""

    kind: Literal["DDPMScheduler", "DDIMScheduler"] = Field("DDPMScheduler", alias="_class_name")
    num_train_timesteps: Annotated[int, Field(ge=2, le=100_000)] = 1000
    beta_start: Beta = 1e-4
    beta_end: Beta = 0.02
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] = "linear"
    trained_betas: list[Beta] | None = None
    prediction_type: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    variance_type: Literal["fixed_small", "fixed_small_log", "fixed_large", "learned_range"] = "fixed_small"
    clip_sample: Literal[True] = True
    clip_sample_range: Annotated[float, Field(ge=1, le=1)] = 1.0
    thresholding: Literal[False] = False
    rescale_betas_zero_snr: Literal[False] = False
    timestep_spacing: Literal["leading", "linspace", "trailing"] = "leading"
    steps_offset: int = 0
    set_alpha_to_one: bool = True


class PipelineSettings(Settings):
    """Contents of model_index.json and the files beside it."""

    pipeline: Literal["DDPMPipeline", "DDIMPipeline"]
    unet: dict[str, Any]
    scheduler: SchedulerSettings

    @property
    def ddim(self) -> bool:
        """Whether it samples by DDIM: a DDIMPipeline makes a DDIMScheduler of any, a DDPMPipeline keeps its own."""
        return "DDIM" in self.pipeline + self.scheduler.kind


def read_folder(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
    """Tensors, settings for the layout `diffusers/pipeline`, and the file of the weights.

    A folder that genkit exported holds the generator's own configuration, which is then all of the settings. The UNet
    and the scheduler lie in folders of their own, or, in the oldest pipelines, beside model_index.json.

    Raises:
        WeightsError: a file is missing or damaged, or is a pickle that holds more than tensors.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise WeightsError(f"{folder} is {'a file' if folder.exists() else 'missing'}; give a pipeline's folder")
    index = _json(folder / "model_index.json")
    if (folder / NOTE).is_file():
        weights = _weights(folder / "unet")
        noted = {"generator": noted_generator(_json(folder / NOTE), folder)}
        return with_variance(read_checkpoint(weights), folder), noted, weights
    unet, scheduler = (part if part.is_dir() else folder for part in (folder / "unet", folder / "scheduler"))
    config = {
        "pipeline": index.get("_class_name"),
        "unet": _json(unet / "config.json"),
        "scheduler": _json(scheduler / "scheduler_config.json"),
    }
    weights = _weights(unet)
    return read_checkpoint(weights), config, weights


def pipeline(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> DDPM:
    """A genkit DDPM; `config` is {pipeline, unet, scheduler} or {generator}, as `read_folder` gives it."""
    if "generator" in config:
        return _with_unet(_noted(config["generator"]), state)
    settings = check_settings(PipelineSettings, _read_by_theirs(config))
    own = {name: value for name, value in settings.unet.items() if not name.startswith("_")}
    with networks_of():
        generator = DDPM(DiffusersUNet(own), _process(settings.scheduler), _solver(settings)[0])
    return _with_unet(generator, {_modern(name): tensor for name, tensor in state.items()})


def _noted(config: Any) -> DDPM:
    """The generator that was exported, without its weights."""
    with networks_of(""):
        generator = built(config, NOTE)
    if not isinstance(generator, DDPM) or not isinstance(generator.network, (UNet, DiffusersUNet)):
        raise WeightsError(f"{NOTE}: a ddpm over a unet or diffusers_unet is needed, got {kind_of(generator)}")
    return generator


def _with_unet(generator: DDPM, state: Mapping[str, Tensor]) -> DDPM:
    unet: Any = generator.network.unet
    load_named(unet, state, {name: (name,) for name in unet.state_dict()})
    return generator


def differences(config: Mapping[str, Any]) -> list[str]:
    """Lines about how sampling differs from that of the original pipeline."""
    if "generator" in config:
        return []
    settings = check_settings(PipelineSettings, _read_by_theirs(config))
    return [*_solver(settings)[1], *_of_ddim(settings)]


def _read_by_theirs(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that diffusers reads: a DDIMScheduler ignores a variance_type left over from a DDPMScheduler."""
    scheduler = config.get("scheduler")
    if not isinstance(scheduler, Mapping):
        return config
    ddim = "DDIM" in f"{config.get('pipeline')}{scheduler.get('_class_name')}"
    return {**config, "scheduler": {k: v for k, v in scheduler.items() if not (ddim and k == "variance_type")}}


def _process(scheduler: SchedulerSettings) -> Process:
    variance: Any = "fixed_small" if scheduler.variance_type == "fixed_small_log" else scheduler.variance_type
    predictions: dict[str, Any] = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
    return Process(
        steps=scheduler.num_train_timesteps,
        schedule=_schedule(scheduler),
        prediction=predictions[scheduler.prediction_type],
        variance=variance,
    )


def _schedule(scheduler: SchedulerSettings) -> Any:
    """The name of an equal schedule, else the betas."""
    if scheduler.trained_betas is not None:
        betas = torch.tensor(scheduler.trained_betas, dtype=torch.float64)
    else:
        betas = BETAS[scheduler.beta_schedule](scheduler)
    return next((name for name in SCHEDULES if _equals(name, betas)), betas.tolist())


def _equals(name: str, betas: Tensor) -> bool:
    try:
        named = SCHEDULES[name](len(betas))
    except RecipeError:  # a linear schedule of so few steps is none of ours, theirs is
        return False
    return torch.allclose(named, betas, rtol=1e-9, atol=0)


def _between(start: float, stop: float, steps: int) -> Tensor:
    return torch.linspace(start, stop, steps, dtype=torch.float64)


def _sigmoid(s: SchedulerSettings) -> Tensor:
    return _between(-6, 6, s.num_train_timesteps).sigmoid() * (s.beta_end - s.beta_start) + s.beta_start


BETAS: dict[str, Callable[[SchedulerSettings], Tensor]] = {
    "linear": lambda s: _between(s.beta_start, s.beta_end, s.num_train_timesteps),
    "scaled_linear": lambda s: _between(s.beta_start**0.5, s.beta_end**0.5, s.num_train_timesteps) ** 2,
    "squaredcos_cap_v2": lambda s: cosine_betas(s.num_train_timesteps),
    "sigmoid": _sigmoid,
}


def _solver(settings: PipelineSettings) -> tuple[Solver, list[str]]:
    """The solver of their pipeline at its default number of steps, and its differences."""
    total, spacing = settings.scheduler.num_train_timesteps, settings.scheduler.timestep_spacing
    kind, asked = DDIM if settings.ddim else Ancestral, STEPS[settings.pipeline]
    count = min(asked, total)
    if count == total:
        return kind(), []
    if spacing == "leading" and total % count == 0 and not settings.scheduler.steps_offset:
        return kind(f"ddim{count}"), []
    if spacing == "linspace" and not settings.ddim:
        return kind(str(count)), []
    return kind(str(count)), [f"their {spacing} spacing of {asked} steps becomes genkit's of {count}, first to last"]


def _of_ddim(settings: PipelineSettings) -> Iterator[str]:
    if settings.ddim:
        yield "the noise is derived again from the clipped image: equal to theirs with use_clipped_model_output=True"
        if not settings.scheduler.set_alpha_to_one:
            yield "the last step ends at the clean image; theirs, with set_alpha_to_one: false, at the least noisy one"


def _modern(name: str) -> str:
    """The name of an attention tensor since diffusers 0.15."""
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    return re.sub(r"(attentions\.\d+)\.(query|key|value|proj_attn)\.", lambda m: f"{m[1]}.{names[m[2]]}.", name)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: no such file; is this a pipeline's folder?")
    try:
        found = read_json(path)
    except Unreadable as fault:
        raise WeightsError(f"{path} cannot be read as JSON ({fault})") from fault
    if not isinstance(found, dict):
        raise WeightsError(f"{path} must hold a mapping, got {type(found).__name__}")
    return found


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(p.name for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".json"}))
    raise WeightsError(f"{folder} has no {' or '.join(WEIGHTS)}, in one file; found: {found or 'nothing'}")
