"""A DDPM as a pipeline folder that plain diffusers loads and samples."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Solver, StepwiseSolver
from genkit.errors import WeightsError
from genkit.files import cannot_write
from genkit.foreign.diffusers_readme import readme
from genkit.generators.ddpm import DDPM
from genkit.networks.diffusers_unet import DiffusersUNet
from genkit.networks.unet import UNet

PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


@dataclass(frozen=True)
class Chain:
    """How diffusers samples like a generator.

    Attributes:
        process: respaced, with the variance that is sampled.
        ddim: DDIMPipeline and its scheduler; else DDPMPipeline.
        spacing: diffusers' name of the way that steps are spread.
        steps: `num_inference_steps`.
        remarks: what differs from the generator, or what diffusers needs to be told.
    """

    process: Process
    ddim: bool
    spacing: str
    steps: int
    remarks: tuple[str, ...]


def export_pipeline(generator: DDPM, out: str | Path) -> Path:
    """Writes model_index.json, unet/, scheduler/ and README.md, all that `DDPMPipeline.from_pretrained(out)` reads.

    A generator that is solved by DDIM becomes a DDIMPipeline, any other a DDPMPipeline. README.md says how to sample
    it, and where diffusers cannot do what genkit does.

    Args:
        generator: a DDPM over a network that UNet2DModel can express.
        out: a folder that is new or empty.

    Raises:
        WeightsError: it cannot be expressed in diffusers, or `out` holds something; nothing is written then.
        CheckpointError: `out` cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out} exists and is not empty; choose another folder")
    chain = _chain(generator)
    pipeline = _pipeline(generator, chain)
    text = readme(out.name, generator, chain.ddim, chain.steps, [*chain.remarks, *_about_labels(generator)])
    _write(pipeline, text, out)
    return out


def _pipeline(generator: DDPM, chain: Chain) -> Any:
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler

    process = generator.process
    unet = _plain_unet(generator, with_variance=chain.process.learns_variance and not chain.ddim)
    settings = {
        "num_train_timesteps": process.steps,
        # Their "linear" is not rescaled for other numbers of steps than 1000, and the tables are float32 by formula.
        "trained_betas": process.with_settings(kept="").betas.tolist(),
        "prediction_type": PREDICTIONS[process.prediction],
        "clip_sample": True,
        "timestep_spacing": chain.spacing,
    }
    if chain.ddim:
        return DDIMPipeline(unet, DDIMScheduler(**settings))
    return DDPMPipeline(unet, DDPMScheduler(variance_type=chain.process.variance, **settings))


def _chain(generator: DDPM) -> Chain:
    if not isinstance(generator, DDPM):
        raise WeightsError(f"only a ddpm becomes a pipeline of diffusers, got a {type(generator).__name__}")
    solver, process = generator.solver, generator.process
    if process.config["rescale_steps"] and process.steps != 1000:
        raise WeightsError("process.rescale_steps: diffusers tells a network whole steps only; it must be false")
    known = isinstance(solver, StepwiseSolver)
    solved = solver.process_of(process) if isinstance(solver, StepwiseSolver) else process
    ddim = isinstance(solver, DDIM)
    if solved.variance == "learned" and not ddim:
        raise WeightsError("process.variance: diffusers takes the 'learned' one for a variance where it is a logarithm")
    spacing, steps, remarks = _spacing(solved, ddim)
    if not known:
        remarks = (*remarks, _not_written(solver))
    return Chain(solved, ddim, spacing, steps, remarks)


def _spacing(process: Process, ddim: bool) -> tuple[str, int, tuple[str, ...]]:
    """Of the two ways that diffusers spreads steps, the one that takes those of the process."""
    total, count = process.steps, len(process)
    even = torch.linspace(0, total - 1, count, dtype=torch.float64).round().long().tolist()
    strided = list(range(0, count * (total // count), total // count))
    if process.kept == even and not ddim:  # their DDIM takes a wrong previous step here (diffusers issue 12633)
        return "linspace", count, ()
    if process.kept == strided and total % count == 0:
        return "leading", count, ()
    hint = (
        "write a solver with steps 'ddimN' for an N that divides" if ddim else "write a solver with one N that divides"
    )
    remark = f"diffusers cannot take the {count} steps that this generator keeps, so samples differ; {hint} {total}"
    return ("leading" if ddim else "linspace"), count, (remark,)


def _not_written(solver: Solver) -> str:
    return f"the solver {solver.config['type']} is not written: this samples as genkit's ancestral solver does"


def _about_labels(generator: DDPM) -> Iterator[str]:
    network = generator.network
    if network.classes:
        yield "DDPMPipeline and DDIMPipeline pass no labels, so call the UNet and the scheduler yourself, as below"
    if network.unlabelled:
        yield f'the label {network.classes} stands for "no label"'


def _plain_unet(generator: DDPM, with_variance: bool) -> Any:
    """A new UNet2DModel with the generator's weights; without the outputs for a variance that is not sampled."""
    from diffusers import UNet2DModel

    ours = _expressible(generator.network)
    settings = {name: value for name, value in ours.config.items() if not name.startswith("_")}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in ours.state_dict().items()}
    if not with_variance:
        settings["out_channels"] = settings["in_channels"]
        state |= {name: state[name][: settings["in_channels"]].clone() for name in ("conv_out.weight", "conv_out.bias")}
    unet: Any = UNet2DModel(**settings)
    _check_same_layers(ours, unet, state)
    unet.load_state_dict(state)
    return unet.eval()


def _expressible(network: nn.Module) -> Any:
    if type(network) is UNet:
        if network.patch > 1:
            raise WeightsError(
                f"network.patch: diffusers' UNet2DModel sees pixels, but this network squares of {network.patch} x "
                f"{network.patch}; only patch: 1 can be exported"
            )
        return network.unet
    if isinstance(network, DiffusersUNet):
        return network.unet
    raise WeightsError(f"network: a unet or diffusers_unet can be exported, got a {type(network).__name__}")


def _check_same_layers(ours: nn.Module, theirs: nn.Module, state: dict[str, Tensor]) -> None:
    """Refuses what UNet2DModel cannot be told: genkit changes such layers after it is built."""
    expected = theirs.state_dict()
    if state.keys() != expected.keys():
        raise WeightsError("network.resample: diffusers' UNet2DModel has no resampling without parameters, 'pool'")
    if [name for name in state if state[name].shape != expected[name].shape]:
        raise WeightsError("network.multipliers: diffusers' UNet2DModel needs a first one of 1")
    if _heads(ours) != _heads(theirs):
        raise WeightsError(
            "network.heads: diffusers' UNet2DModel cannot have one number of heads at several widths; it has a "
            "head_width, or heads where attention has one width"
        )


def _heads(network: nn.Module) -> list[int]:
    from diffusers.models.attention_processor import Attention

    return [part.heads for part in network.modules() if isinstance(part, Attention)]


def _write(pipeline: Any, text: str, out: Path) -> None:
    """Beside `out` first, then renamed, so that a failure leaves nothing behind."""
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        pipeline.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").write_text(text, encoding="utf-8")
        os.replace(temporary, out)
    except OSError as failure:
        raise cannot_write(out, failure) from failure
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
