"""A DDPM as a pipeline folder that diffusers loads and samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genkit.core.errors import WeightsError, kind_of
from genkit.core.files import new_folder, whole_folder
from genkit.core.pretrained import described
from genkit.diffusion.authors.diffusers_chain import Chain, chain_of
from genkit.diffusion.authors.diffusers_note import write_note
from genkit.diffusion.authors.diffusers_readme import readme
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.diffusion_generator import DiffusionWrapper
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.networks.diffusers_unet import DiffusersUNet
from genkit.diffusion.networks.unet import UNet

OWN = "pipeline"
"""Module name of the pipeline class that is written into a folder where diffusers' own classes are not enough."""


def export_pipeline(generator: DDPM, out: str | Path) -> Path:
    """Writes a folder for `DiffusionPipeline.from_pretrained(out)`, README.md, and a note for importing it again.

    The folder is a DDPMPipeline or DDIMPipeline where that class walks the generator's chain; else it brings a pipeline
    class of its own in pipeline.py, over the same UNet2DModel and a scheduler of diffusers. README.md says how to
    sample it.

    Args:
        generator: a DDPM over a network that UNet2DModel can express.
        out: a folder that is new or empty.

    Raises:
        WeightsError: `out` holds something, or the generator cannot be expressed in diffusers; nothing is written then.
        CheckpointError: `out` cannot be written.
    """
    out = new_folder(out)
    network = _network(generator)
    chain = chain_of(generator)
    plain = chain.plain and not network.classes and _patch(network) == 1
    cut = network.sample_shape[0] if plain and not chain.samples_variance else network.outputs
    unet, rest = _plain_unet(network, cut)
    _write(_pipeline(generator, chain, unet, plain), readme(out.name, generator, chain, plain), generator, rest, out)
    return out


def _network(generator: Any) -> Denoiser:
    """The network of the generator, checked that diffusers can express it."""
    if isinstance(generator, DiffusionWrapper):
        raise WeightsError(
            f"{kind_of(generator)} cannot become a pipeline of diffusers; export the generator that it guides"
        )
    if type(generator) is not DDPM:  # an upsampler is one, and asks for images
        raise WeightsError(
            f"only a ddpm becomes a pipeline of diffusers, got {kind_of(generator)}; export it as torch or onnx"
        )
    if type(generator.network) is not UNet and not isinstance(generator.network, DiffusersUNet):
        raise WeightsError(f"network: a unet or diffusers_unet can be exported, got {kind_of(generator.network)}")
    return generator.network


def _patch(network: Denoiser) -> int:
    return network.patch if isinstance(network, UNet) else 1


def _pipeline(generator: DDPM, chain: Chain, unet: Any, plain: bool) -> Any:
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline

    from genkit.diffusion.authors.exported_pipeline import LabelledPatchPipeline

    if plain:
        return (DDIMPipeline if isinstance(chain.scheduler, DDIMScheduler) else DDPMPipeline)(unet, chain.scheduler)
    network = generator.network
    return LabelledPatchPipeline(
        unet,
        chain.scheduler,
        patch=_patch(network),
        steps=chain.steps,
        eta=chain.eta,
        timesteps=chain.timesteps,
        no_label=network.classes if network.unlabelled else None,
    )


def _plain_unet(network: Any, outputs: int) -> tuple[Any, dict[str, Tensor]]:
    """A new UNet2DModel with the network's weights and its first `outputs` channels, and the rows of the others."""
    from diffusers import UNet2DModel

    ours = network.unet
    settings = {name: value for name, value in ours.config.items() if not name.startswith("_")}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in ours.state_dict().items()}
    rows = outputs * _patch(network) ** 2
    rest = {name: state[name][rows:].clone() for name in ("conv_out.weight", "conv_out.bias")}
    state |= {name: state[name][:rows].clone() for name in rest}
    unet: Any = UNet2DModel(**{**settings, "out_channels": rows})
    _check_same_layers(ours, unet, state)
    unet.load_state_dict(state)
    return unet.eval(), rest if outputs < network.outputs else {}


def _check_same_layers(ours: nn.Module, theirs: nn.Module, state: dict[str, Tensor]) -> None:
    """Refuses layers that UNet2DModel has no settings for: genkit changes them after it is built."""
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


def _write(pipeline: Any, text: str, generator: DDPM, rest: dict[str, Tensor], out: Path) -> None:
    with whole_folder(out) as folder:
        pipeline.save_pretrained(folder, safe_serialization=True)
        if type(pipeline).__module__.startswith("genkit."):
            _bring_class(pipeline, folder)
        (folder / "README.md").write_text(text, encoding="utf-8")
        write_note(folder, described(generator), rest)


def _bring_class(pipeline: Any, folder: Path) -> None:
    """Writes the pipeline's class into the folder, as the one that diffusers is to take."""
    from genkit.diffusion.authors import exported_pipeline

    shutil.copyfile(exported_pipeline.__file__, folder / f"{OWN}.py")
    index = folder / "model_index.json"
    settings = json.loads(index.read_text(encoding="utf-8")) | {"_class_name": [OWN, type(pipeline).__name__]}
    index.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
