"""Original authors' checkpoints, loaded into genkit's networks.

A layout is how one code base names the tensors of one network: `<source>/<network>`. Listing them imports nothing
heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from genkit.errors import WeightsError, suggest

if TYPE_CHECKING:
    from torch import Tensor, nn

LAYOUTS: dict[str, str] = {
    "exemplar-vae/vae": "genkit.foreign.exemplar_vae:vae",
    "exemplar-vae/hvae_2level": "genkit.foreign.exemplar_vae:hvae_2level",
    "exemplar-vae/convhvae_2level": "genkit.foreign.exemplar_vae:convhvae_2level",
    "diffusers/pipeline": "genkit.foreign.diffusers_import:pipeline",
    "guided-diffusion/unet": "genkit.foreign.guided_diffusion:unet",
    "guided-diffusion/super_resolution_unet": "genkit.foreign.guided_diffusion:super_resolution_unet",
    "guided-diffusion/classifier": "genkit.foreign.guided_diffusion:classifier",
    "improved-diffusion/unet": "genkit.foreign.guided_diffusion:improved_unet",
    "ppogan/generator": "genkit.foreign.ppogan:generator",
    "ppogan/critic": "genkit.foreign.ppogan:critic",
    "ppogan/classifier": "genkit.foreign.ppogan:classifier",
    "robust-ot/dcgan_generator": "genkit.foreign.robust_ot:dcgan_generator",
    "robust-ot/dcgan_critic": "genkit.foreign.robust_ot:dcgan_critic",
    "robust-ot/dcgan_weights": "genkit.foreign.robust_ot:dcgan_weights",
    "robust-ot/sndcgan_critic": "genkit.foreign.robust_ot:sndcgan_critic",
    "robust-ot/resnet_generator": "genkit.foreign.robust_ot:resnet_generator",
    "robust-ot/resnet_critic": "genkit.foreign.robust_ot:resnet_critic",
    "robust-ot/resnet_weights": "genkit.foreign.robust_ot:resnet_weights",
    "transgan/v1_generator": "genkit.foreign.transgan:v1_generator",
    "transgan/v1_critic": "genkit.foreign.transgan:v1_critic",
    "transgan/neurips_generator": "genkit.foreign.transgan:neurips_generator",
    "transgan/neurips_critic": "genkit.foreign.transgan:neurips_critic",
}
"""Layout -> "module:function", a function (state_dict, config) -> module. Nothing is imported before it is used."""

_ELSEWHERE = {
    "read_checkpoint": "genkit.foreign.checkpoint",
    "read_settings": "genkit.foreign.settings",
    "import_checkpoint": "genkit.foreign.importing",
    "export_pipeline": "genkit.foreign.diffusers_pipeline",
}
__all__ = ["LAYOUTS", "layouts", "load", *_ELSEWHERE]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)


def layouts() -> list[str]:
    """The names that `load` accepts, sorted."""
    return sorted(LAYOUTS)


def load(layout: str, state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> nn.Module:
    """The authors' network, in eval mode: called as theirs is and returning what theirs returns.

    Where genkit's own network answers in another form, it is the attribute `network` of what is returned.

    Args:
        layout: one of `layouts()`.
        state_dict: the authors' tensors by the authors' names, as `read_checkpoint` gives them. Prefixes that wrappers
            add (`module.`) are taken off; half precision becomes float32.
        config: the authors' settings, by their names; those that the network does not depend on are ignored.

    Raises:
        WeightsError: an unknown layout, a setting that is missing or out of range, or tensors that are missing,
            unexpected, of another shape, not finite, or unequal where the layout names one tensor twice.
    """
    if layout not in LAYOUTS:
        raise WeightsError(f"no layout {layout!r}{suggest(layout, LAYOUTS)}")
    module, _, function = LAYOUTS[layout].partition(":")
    loaded: nn.Module = getattr(import_module(module), function)(state_dict, config)
    return loaded.eval()
