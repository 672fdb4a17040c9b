"""Original authors' checkpoints, loaded into genkit's networks.

A layout is how one code base names the tensors of one network: `<source>/<network>`. Listing them imports nothing
heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genkit.core.errors import WeightsError, suggest

if TYPE_CHECKING:
    from torch import Tensor, nn

LAYOUTS: dict[str, str] = {
    "exemplar-vae/vae": "genkit.vae.authors.exemplar_vae:vae",
    "exemplar-vae/hvae_2level": "genkit.vae.authors.exemplar_vae:hvae_2level",
    "exemplar-vae/convhvae_2level": "genkit.vae.authors.exemplar_vae:convhvae_2level",
    "diffusers/pipeline": "genkit.diffusion.authors.diffusers_import:pipeline",
    "guided-diffusion/unet": "genkit.diffusion.authors.guided_diffusion:unet",
    "guided-diffusion/super_resolution_unet": "genkit.diffusion.authors.guided_diffusion:super_resolution_unet",
    "guided-diffusion/classifier": "genkit.diffusion.authors.guided_diffusion:classifier",
    "improved-diffusion/unet": "genkit.diffusion.authors.guided_diffusion:improved_unet",
    "ppogan/generator": "genkit.gan.authors.ppogan:generator",
    "ppogan/critic": "genkit.gan.authors.ppogan:critic",
    "ppogan/classifier": "genkit.gan.authors.ppogan:classifier",
    "robust-ot/dcgan_generator": "genkit.gan.authors.robust_ot:dcgan_generator",
    "robust-ot/dcgan_critic": "genkit.gan.authors.robust_ot:dcgan_critic",
    "robust-ot/dcgan_weights": "genkit.gan.authors.robust_ot:dcgan_weights",
    "robust-ot/sndcgan_critic": "genkit.gan.authors.robust_ot:sndcgan_critic",
    "robust-ot/resnet_generator": "genkit.gan.authors.robust_ot:resnet_generator",
    "robust-ot/resnet_critic": "genkit.gan.authors.robust_ot:resnet_critic",
    "robust-ot/resnet_weights": "genkit.gan.authors.robust_ot:resnet_weights",
    "transgan/v1_generator": "genkit.gan.authors.transgan:v1_generator",
    "transgan/v1_critic": "genkit.gan.authors.transgan:v1_critic",
    "transgan/neurips_generator": "genkit.gan.authors.transgan:neurips_generator",
    "transgan/neurips_critic": "genkit.gan.authors.transgan:neurips_critic",
}
"""Layout -> "module:function", a function (state_dict, config) -> module. Nothing is imported before it is used."""

_ELSEWHERE = {
    "read_checkpoint": "genkit.foreign.authors_checkpoint",
    "read_settings": "genkit.foreign.authors_settings",
    "import_checkpoint": "genkit.foreign.importing",
    "export_pipeline": "genkit.diffusion.authors.diffusers_pipeline",
}
__all__ = ["LAYOUTS", "layouts", "load", *_ELSEWHERE]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)


def layouts() -> list[str]:
    """The names that `load` accepts, sorted."""
    return sorted(LAYOUTS)


def home(layout: str) -> ModuleType:
    """The module of a layout.

    Beside the functions of its layouts it may define `read_folder(folder) -> (tensors, settings, file of the tensors)`,
    for layouts that are folders with their settings, and `differences(settings) -> lines`, what is not as the authors
    do it. Its package may define `product(network, layout, settings)`, which makes a generator of a network.

    Raises:
        WeightsError: there is no such layout.
    """
    if layout not in LAYOUTS:
        raise WeightsError(f"no layout {layout!r}{suggest(layout, LAYOUTS)}")
    return import_module(LAYOUTS[layout].partition(":")[0])


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
    make = getattr(home(layout), LAYOUTS[layout].partition(":")[2])
    loaded: nn.Module = make(state_dict, config)
    return loaded.eval()
