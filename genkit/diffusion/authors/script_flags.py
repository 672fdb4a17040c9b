"""Flags of the scripts of guided-diffusion and improved-diffusion, and the settings that the scripts make of them.

Names and defaults are those of their `script_util.py`, and `num_classes` its constant NUM_CLASSES. Flags that decide
memory, precision or the loss alone are accepted and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genkit.core.errors import WeightsError, shown, suggest

Flags = Mapping[str, Any]

_PROCESS: Flags = {
    "learn_sigma": False,
    "diffusion_steps": 1000,
    "noise_schedule": "linear",
    "use_kl": False,
    "predict_xstart": False,
    "rescale_timesteps": False,
    "rescale_learned_sigmas": False,
    "num_classes": 1000,
}
_SHARED: Flags = {
    **_PROCESS,
    "timestep_respacing": "",
    "use_ddim": False,
    "num_channels": 128,
    "num_res_blocks": 2,
    "num_heads": 4,
    "num_heads_upsample": -1,
    "attention_resolutions": "16,8",
    "dropout": 0.0,
    "class_cond": False,
    "use_checkpoint": False,
    "use_scale_shift_norm": True,
}
_GUIDED: Flags = {**_SHARED, "num_head_channels": -1, "resblock_updown": False, "use_fp16": False}
_CLASSIFIER: Flags = {
    "width": 128,
    "depth": 2,
    "attention_resolutions": "32,16,8",
    "use_scale_shift_norm": True,
    "resblock_updown": True,
    "pool": "attention",
    "use_fp16": False,
}
FLAGS: dict[str, Flags] = {
    "guided-diffusion/unet": {"image_size": 64, "channel_mult": "", "use_new_attention_order": False, **_GUIDED},
    "guided-diffusion/super_resolution_unet": {"large_size": 256, "small_size": 64, **_GUIDED},
    "guided-diffusion/classifier": {
        "image_size": 64,
        **_PROCESS,
        **{f"classifier_{name}": default for name, default in _CLASSIFIER.items()},
    },
    "improved-diffusion/unet": {
        "image_size": 64,
        **_SHARED,
        "sigma_small": False,
        "rescale_timesteps": True,
        "rescale_learned_sigmas": True,
    },
}
"""Layout -> flags with their defaults."""

_FROM_64 = {64: (1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}
_ADM = {**_FROM_64, 128: (1, 1, 2, 3, 4), 512: (0.5, 1, 1, 2, 2, 4, 4)}
MULTIPLIERS: dict[str, Mapping[int, Sequence[float]]] = {
    "guided-diffusion/unet": _ADM,
    "guided-diffusion/super_resolution_unet": {**_FROM_64, 512: (1, 1, 2, 2, 4, 4)},
    "guided-diffusion/classifier": _ADM,
    "improved-diffusion/unet": {**_FROM_64, 32: (1, 2, 2, 2)},
}
"""Layout -> size of the images -> the channel_mult that the script takes."""

ELSEWHERE = ("use_kl", "rescale_learned_sigmas", "use_fp16", "use_checkpoint")
ARGUMENTS = {
    "large_size": "image_size",
    "num_channels": "model_channels",
    "width": "model_channels",
    "depth": "num_res_blocks",
}
"""Flag -> argument of the network's constructor, where they differ."""

_NOT_OF_NETWORKS = {
    *("clip_denoised", "num_samples", "batch_size", "model_path", "base_samples"),
    *("classifier_path", "classifier_scale", "data_dir", "val_data_dir", "schedule_sampler", "lr", "weight_decay"),
    *("lr_anneal_steps", "anneal_lr", "microbatch", "ema_rate", "log_interval", "save_interval", "eval_interval"),
    *("resume_checkpoint", "use_fp16", "fp16_scale_growth", "noised", "iterations"),
}
"""Flags of their scripts that say nothing of a network or its process."""

EXAMPLES: dict[str, Flags] = {
    "guided-diffusion/unet": {
        "attention_resolutions": "32,16,8",
        "class_cond": True,
        "diffusion_steps": 1000,
        "dropout": 0.1,
        "image_size": 64,
        "learn_sigma": True,
        "noise_schedule": "cosine",
        "num_channels": 192,
        "num_head_channels": 64,
        "num_res_blocks": 3,
        "resblock_updown": True,
        "use_new_attention_order": True,
        "use_scale_shift_norm": True,
    },
    "guided-diffusion/super_resolution_unet": {
        "attention_resolutions": "32,16,8",
        "class_cond": True,
        "diffusion_steps": 1000,
        "large_size": 256,
        "small_size": 64,
        "learn_sigma": True,
        "noise_schedule": "linear",
        "num_channels": 192,
        "num_heads": 4,
        "num_res_blocks": 2,
        "resblock_updown": True,
        "use_scale_shift_norm": True,
    },
    "guided-diffusion/classifier": {
        "image_size": 64,
        "classifier_attention_resolutions": "32,16,8",
        "classifier_depth": 4,
        "classifier_width": 128,
        "classifier_pool": "attention",
        "classifier_resblock_updown": True,
        "classifier_use_scale_shift_norm": True,
        "noise_schedule": "cosine",
        "learn_sigma": True,
    },
    "improved-diffusion/unet": {
        "image_size": 32,
        "num_channels": 128,
        "num_res_blocks": 3,
        "learn_sigma": True,
        "dropout": 0.3,
        "diffusion_steps": 4000,
        "noise_schedule": "cosine",
        "rescale_learned_sigmas": False,
        "rescale_timesteps": False,
    },
}
"""Layout -> flags of a published checkpoint."""

_TRUE, _FALSE = ("yes", "true", "t", "y", "1"), ("no", "false", "f", "n", "0")
"""Texts that their scripts read as a bool."""

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def from_flags(layout: str, flags: Flags) -> dict[str, Any]:
    """The settings of the layout, as its script makes them: the constructor's arguments and the process's flags.

    Raises:
        WeightsError: the layout has no script, or it no such flag; a value of another kind; or one that the network, as
            the other flags make it, would ignore.
    """
    if layout not in FLAGS:
        raise WeightsError(f"{layout}: no flags of its authors' scripts are known; leave out --settings")
    given = {name: _typed(layout, name, value) for name, value in flags.items()}
    values = {**FLAGS[layout], **given}
    if reason := next(_ignored(values, {n for n in given if given[n] != FLAGS[layout][n]}), None):
        raise WeightsError(f"settings.{reason}, so that the network ignores it; leave it out")
    arguments = {_argument(name): value for name, value in values.items()}
    return _settings(layout, {name: value for name, value in arguments.items() if name not in ELSEWHERE})


def of_command_line(layout: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The flags in a command line of their scripts, and the names of those passed over.

    A line is for several things at once: passed over are flags of sampling and training, and those of the other network
    of guided sampling.

    Args:
        words: `--FLAG VALUE` or `--FLAG=VALUE`, as their READMEs print them.

    Raises:
        WeightsError: the layout has no script, or it no such flag; a flag without a value, or of another kind.
    """
    if layout not in FLAGS:
        raise WeightsError(f"{layout}: no flags of its authors' scripts are known; leave out {words[0]:.60}")
    found, passed, left = dict[str, Any](), list[str](), iter(words)
    for word in left:
        if not word.startswith("--"):
            raise WeightsError(
                f"{shown(word)} is no flag of {layout}; they are written --FLAG VALUE, behind the checkpoint"
            )
        name, equals, value = word.removeprefix("--").partition("=")
        value = value if equals else next(left, "")
        if not value or value.startswith("--"):
            raise WeightsError(f"--{name:.60} needs a value, as in --{name:.60} {FLAGS[layout].get(name) or 1}")
        if name in FLAGS[layout]:
            found[name] = _read(name, value, FLAGS[layout][name])
        elif name in _NOT_OF_NETWORKS | _beside(layout):
            passed.append(name)
        else:
            raise WeightsError(f"--{name:.60}: no flag of {layout}{suggest(name, FLAGS[layout])}")
    return found, passed


def _beside(layout: str) -> set[str]:
    """Flags of the network that stands beside that of the layout in a line of guided sampling."""
    if layout.endswith("/classifier"):
        return {*FLAGS["guided-diffusion/unet"]}
    return {name for name in FLAGS["guided-diffusion/classifier"] if name.startswith("classifier_")}


def _read(name: str, text: str, default: Any) -> Any:
    """A text as their argparse reads it: of the kind of its default."""
    kind = type(default)
    try:
        if kind is bool:
            return bool((*_FALSE, *_TRUE).index(text.lower()) >= len(_FALSE))
        return kind(text)
    except ValueError as fault:
        raise WeightsError(f"--{name}: {_KINDS[kind]} is needed, got {shown(text)}") from fault


def _typed(layout: str, name: Any, value: Any) -> Any:
    """`value`, of the kind of the flag's default; a list of numbers may stand for a text of them."""
    if name not in FLAGS[layout]:
        raise WeightsError(f"settings.{name!s:.60}: no flag of {layout}{suggest(name, FLAGS[layout])}")
    kind = type(FLAGS[layout][name])
    if kind is str and isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if kind in (float, str) and type(value) in (int, float):
        return kind(value)
    if type(value) is not kind:
        raise WeightsError(f"settings.{name}: {_KINDS[kind]} is needed, got {shown(value)}")
    return value


def _ignored(values: Flags, changed: set[str]) -> Any:
    """`name: reason` for each of the `changed` flags that has no effect beside the others."""
    if values.get("num_head_channels", -1) != -1:
        yield from (f"{name}: num_head_channels is given" for name in changed & {"num_heads", "num_heads_upsample"})
    if values["learn_sigma"] and "sigma_small" in changed:
        yield "sigma_small: learn_sigma is true"
    if not values.get("class_cond", True) and "num_classes" in changed:
        yield "num_classes: class_cond is false"


def _argument(flag: str) -> str:
    flag = flag.removeprefix("classifier_")
    return ARGUMENTS.get(flag, flag)


def _settings(layout: str, values: dict[str, Any]) -> dict[str, Any]:
    classes, size = values.pop("num_classes"), values["image_size"]
    if layout.endswith("/classifier"):
        network = {"out_channels": classes, "num_head_channels": 64}
    else:
        network = {"out_channels": 6 if values["learn_sigma"] else 3}
        network |= {"num_classes": classes} if values.pop("class_cond") else {}
    multipliers = _numbers("channel_mult", values.get("channel_mult", "")) or MULTIPLIERS[layout].get(size)
    if not multipliers:
        flag = "large_size" if "small_size" in values else "image_size"
        raise WeightsError(
            f"settings.{flag}: the script knows no channel_mult for {size}, only for "
            f"{', '.join(map(str, sorted(MULTIPLIERS[layout])))}; give all settings by --config"
        )
    shape = {"channel_mult": list(multipliers), "attention_resolutions": _factors(values, size, len(multipliers))}
    return {"in_channels": 3, **values, **network, **shape}


def _factors(values: Flags, size: int, levels: int) -> list[int]:
    """attention_resolutions, of side lengths, as the constructor has them: size over side length."""
    sides = [size >> level for level in range(levels)]
    wanted = _numbers("attention_resolutions", values["attention_resolutions"])
    if unused := [side for side in wanted if side not in sides]:
        raise WeightsError(
            f"settings.attention_resolutions: no map has the side length {unused[0]:g}, so that the network ignores "
            f"it; accepted: {', '.join(map(str, sides))}"
        )
    return [2 ** sides.index(int(side)) for side in wanted]


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part]
    except ValueError as fault:
        raise WeightsError(
            f"settings.{name}: numbers with commas between them are needed, got {shown(text)}"
        ) from fault
