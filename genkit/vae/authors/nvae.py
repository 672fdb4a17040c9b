"""Checkpoints of github.com/NVlabs/NVAE: with a mixture of logistics for each pixel (Vahdat & Kautz 2020) or a Gaussian
(Xiao et al. 2021, VAEBM).

Of a file that holds an energy as well, the tensors under `vae.` are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import BATCH_NORM, TensorNames, layer_names, load_named, own_part
from genkit.layers.arguments import LatentDim, Width
from genkit.vae.hierarchical.cells import Cell, FourPhases
from genkit.vae.hierarchical.nvae import Count, Group, NVAENetwork
from genkit.vae.pixel_likelihoods import Bits, GaussianPixels, MixedLogistics
from genkit.vae.vae import VAE

SAME = (
    ("num_channels_enc", "num_channels_dec"),
    ("num_cell_per_cond_enc", "num_cell_per_cond_dec"),
    ("num_preprocess_blocks", "num_postprocess_blocks"),
    ("num_preprocess_cells", "num_postprocess_cells"),
)
"""Settings that may differ in their network, not in ours."""
EXAMPLES: dict[str, dict[str, Any]] = {
    "nvae": {
        **{"num_latent_scales": 1, "num_groups_per_scale": 30, "num_latent_per_group": 20},
        **{"num_channels_enc": 128, "num_channels_dec": 128, "num_preprocess_blocks": 2, "num_postprocess_blocks": 2},
        **{"num_cell_per_cond_enc": 2, "num_cell_per_cond_dec": 2, "num_mixture_dec": 1, "num_nf": 1},
        **{"arch_instance": "res_mbconv", "use_se": True, "res_dist": True},
    }
}
"""Layout -> settings of a checkpoint."""


class NVAESettings(Settings):
    """Settings named as on their command line. Both towers have the same widths and cells, posteriors are residual."""

    num_latent_scales: Annotated[int, Field(ge=1, le=7)]
    num_groups_per_scale: Count
    num_latent_per_group: LatentDim
    num_channels_enc: Width
    num_channels_dec: Width
    ada_groups: bool = False
    min_groups_per_scale: Count = 1
    num_preprocess_blocks: Annotated[int, Field(ge=0, le=4)] = 2
    num_postprocess_blocks: Annotated[int, Field(ge=0, le=4)] = 2
    num_preprocess_cells: Count = 3
    num_postprocess_cells: Count = 3
    num_cell_per_cond_enc: Count = 1
    num_cell_per_cond_dec: Count = 1
    num_mixture_dec: Annotated[int, Field(ge=1, le=64)] = 10
    num_x_bits: Bits = 8
    num_nf: Annotated[int, Field(ge=0, le=8)] = 0
    arch_instance: Literal["res_mbconv"]
    use_se: Literal[True]
    res_dist: Literal[True]

    def groups(self) -> tuple[int, ...]:
        """Groups of each scale, the smallest first; with `ada_groups` each smaller one has half as many."""
        largest_first = [self.num_groups_per_scale]
        for _ in range(1, self.num_latent_scales):
            fewer = max(self.min_groups_per_scale, largest_first[-1] // 2)
            largest_first.append(fewer if self.ada_groups else largest_first[-1])
        return tuple(reversed(largest_first))


def nvae(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> VAE:
    """Their `AutoEncoder`; the top latent is in units of its prior's standard deviation, which is 1.01."""
    settings, state = check_settings(NVAESettings, config), own_part(state, "vae")
    for up, down in SAME:
        if getattr(settings, up) != (found := getattr(settings, down)):
            raise WeightsError(f"config.{down}: must be {up}, {getattr(settings, up)}, here, got {found}")
    if sum(settings.groups()) == 1:
        raise WeightsError("config.num_latent_scales: one scale of one group is another network in the authors' code")
    network = _network(state, settings)
    likelihood = MixedLogistics(settings.num_x_bits) if network.mixture else GaussianPixels()
    return VAE(load_named(network, state, _names(network)), likelihood)


@networks_of()
def _network(state: Mapping[str, Tensor], settings: NVAESettings) -> NVAENetwork:
    """The network; its image size and channels are read off the tensors."""
    start, stem, groups = state.get("prior_ftr0"), state.get("stem.weight"), settings.groups()
    if start is None or stem is None or start.dim() != 3 or stem.dim() != 4:
        raise WeightsError("the checkpoint does not fit the layout: missing: prior_ftr0 (C, H, W), stem.weight")
    halvings = settings.num_preprocess_blocks + len(groups) - 1
    return NVAENetwork(
        (start.shape[1] << halvings, start.shape[2] << halvings),
        stem.shape[1],
        settings.num_channels_enc,
        groups,
        settings.num_latent_per_group,
        settings.num_cell_per_cond_enc,
        settings.num_preprocess_blocks,
        settings.num_preprocess_cells,
        settings.num_nf,
        **({"mixture": mixture} if (mixture := settings.num_mixture_dec) > 1 else {"scaled": True}),
    )


def _names(network: NVAENetwork) -> TensorNames:
    """Our name -> theirs, for every tensor."""
    names = _weight_norm("stem.0", "stem") | _weight_norm("pixels.1", "image_conditional.1")
    for ours, theirs in {"raw.1": "enc0.1", "raw.3": "enc_sampler.0", "combine": "dec_tower.0.conv"}.items():
        names |= _weight_norm(f"top.{ours}", theirs)
    before, behind = (f"pre_process.{i}" for i in count()), (f"post_process.{i}" for i in count())
    up, down = (f"enc_tower.{i}" for i in count()), (f"dec_tower.{i}" for i in count(1))
    for i, cell in enumerate(network.stem[1:], 1):
        names |= _cell(f"stem.{i}", next(before), cell)
    for i, cell in enumerate(network.ends):
        names |= _cell(f"ends.{i}", next(behind), cell)
    for i, cells in enumerate(network.encoder):
        assert isinstance(cells, nn.Sequential)
        for j, cell in enumerate(cells):
            names |= _cell(f"encoder.{i}.{j}", next(up), cell)
        if (level := len(network.groups) - 1 - i) >= 0:
            names |= _weight_norm(f"groups.{level}.beside", f"{next(up)}.conv")
    for i, group in enumerate(network.groups):
        assert isinstance(group, Group)
        for j, cell in enumerate(group.cells):
            names |= _cell(f"groups.{i}.cells.{j}", next(down), cell)
        names |= _weight_norm(f"groups.{i}.combine", f"{next(down)}.conv")
        names |= _weight_norm(f"groups.{i}.prior.1", f"dec_sampler.{i}.1")
        names |= _weight_norm(f"groups.{i}.posterior", f"enc_sampler.{i + 1}")
    return {**names, **_flows(network), "top.start": ("prior_ftr0",)}


def _flows(network: NVAENetwork) -> TensorNames:
    """Names of the flows behind all posteriors, which lie one after the other in theirs."""
    names: TensorNames = {}
    pairs = ((i, n) for i, behind in enumerate(network.flows) for n in range(len(behind)))  # type: ignore[arg-type]
    for number, (i, n) in enumerate(pairs):
        for k, cell in enumerate(("cell1", "cell2")):
            ours, theirs = f"flows.{i}.{n}.{k}.shift", f"nf_cells.{number}.{cell}"
            for layer, place in ((0, "conv.convz.0"), (2, "conv.convz.2"), (5, "mu.conv_0")):
                names |= _weight_norm(f"{ours}.{layer}", f"{theirs}.{place}", bias=layer == 5)
    return names


def _cell(ours: str, theirs: str, cell: nn.Module) -> TensorNames:
    """Names of a cell of encoder or decoder; one that doubles the image has an additional first layer."""
    assert isinstance(cell, Cell) and isinstance(cell.branch, nn.Sequential)
    names = layer_names(f"{ours}.gate.down", f"{theirs}.se.se.0") | layer_names(f"{ours}.gate.up", f"{theirs}.se.se.2")
    if len(cell.branch) == 6:
        for layer, op in ((0, f"{theirs}._ops.0"), (3, f"{theirs}._ops.1")):
            names |= layer_names(f"{ours}.branch.{layer}", f"{op}.bn_act", tensors=BATCH_NORM)
            names |= _weight_norm(f"{ours}.branch.{layer + 2}", f"{op}.conv_0")
        for i in range(4 if isinstance(cell.skip, FourPhases) else 0):
            names |= _weight_norm(f"{ours}.skip.convs.{i}", f"{theirs}.skip.conv_{i + 1}")
        return names
    doubled = int(not isinstance(cell.skip, nn.Identity))
    if doubled:
        names |= _weight_norm(f"{ours}.skip.1", f"{theirs}.skip.1", bias=False)
    return names | _bottleneck(f"{ours}.branch", f"{theirs}._ops.0.conv", doubled)


def _bottleneck(ours: str, theirs: str, first: int) -> TensorNames:
    """Names of an inverted bottleneck that begins at layer `first`."""
    norms = {0: f"{first}.bn", 2: f"{first + 1}.conv.1", 5: f"{first + 2}.conv.1", 8: f"{first + 4}.bn"}
    convs = {1: f"{first + 1}.conv.0", 4: f"{first + 2}.conv.0", 7: f"{first + 3}"}
    names: TensorNames = {}
    for layer, name in norms.items():
        names |= layer_names(f"{ours}.{first + layer}", f"{theirs}.{name}", tensors=BATCH_NORM)
    for layer, name in convs.items():
        place = f"{theirs}.{name}"
        names[f"{ours}.{first + layer}.weight"] = f"{place}.weight", f"{place}.weight_normalized"
    return names


def _weight_norm(ours: str, theirs: str, bias: bool = True) -> TensorNames:
    """Names of a convolution with normalised weights."""
    tensors = {"v": "weight", "log_norm": "log_weight_norm", **({"bias": "bias"} if bias else {})}
    return {f"{ours}.{mine}": (f"{theirs}.{name}",) for mine, name in tensors.items()}
