"""The networks of the three papers, with the number of parameters in millions that the papers give."""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]

FINE_TO_COARSE: dict[int, list[float]] = {
    32: [1, 2, 2, 2],
    64: [1, 2, 3, 4],
    128: [1, 1, 2, 3, 4],
    256: [1, 1, 2, 2, 4, 4],
    512: [0.5, 1, 1, 2, 2, 4, 4],
}
"""Side length in pixels -> multipliers, as both of Nichol and Dhariwal's code bases have them."""


def adm(size: int, width: int = 256, **arguments: Any) -> Spec:
    """Dhariwal and Nichol 2021, Table 12."""
    shape = {"size": size, "width": width, "multipliers": FINE_TO_COARSE[size], "blocks": 2, "attention": [32, 16, 8]}
    return {"type": "unet", **shape, "variance": True} | arguments


def improved(size: int, width: int = 128, **arguments: Any) -> Spec:
    """Nichol and Dhariwal 2021, appendix A."""
    return adm(size, width, attention=[16, 8], heads=4, resample="conv") | arguments


def upsampler(low_size: int, size: int, **arguments: Any) -> Spec:
    """Dhariwal and Nichol 2021, Table 12."""
    spec = adm(size, 192, type="super_resolution_unet", low_size=low_size, classes=1000)
    return spec | {"multipliers": FINE_TO_COARSE[256]} | arguments


def classifier(size: int, blocks: int = 2) -> Spec:
    """Dhariwal and Nichol 2021, Table 14."""
    spec = adm(size, 128, type="encoder_unet", classes=1000, blocks=blocks)
    del spec["variance"]
    return spec


PUBLISHED: dict[str, tuple[float, Spec]] = {
    "ADM, LSUN 256": (552.8, adm(256, dropout=0.1)),
    "ADM, ImageNet 64": (295.9, adm(64, 192, blocks=3, dropout=0.1, classes=1000)),
    "ADM, ImageNet 128": (421.5, adm(128, heads=4, classes=1000)),
    "ADM, ImageNet 256": (553.8, adm(256, classes=1000)),
    "ADM, ImageNet 512": (559.0, adm(512, classes=1000)),
    "ADM, 64 to 256": (311.8, upsampler(64, 256, heads=4)),
    "ADM, 128 to 512": (308.8, upsampler(128, 512, attention=[32, 16])),
    "classifier, 64": (65.4, classifier(64, blocks=4)),
    "classifier, 128": (42.6, classifier(128)),
    "classifier, 256": (54.1, classifier(256)),
    "classifier, 512": (54.4, classifier(512)),
    "IDDPM, CIFAR-10": (52.5, improved(32, blocks=3, dropout=0.3)),
    "IDDPM, ImageNet 64": (121.1, improved(64, blocks=3)),
    "IDDPM, ImageNet 64 with labels": (273.0, improved(64, 192, blocks=3, classes=1000)),
    "IDDPM, LSUN 256": (113.7, improved(256, attention=[16], heads=1, scale_shift=False)),
    "DDPM, CIFAR-10": (35.75, improved(32, attention=[16], heads=1, scale_shift=False, variance=False, dropout=0.1)),
}
"""Name -> (millions of parameters, spec)."""

RECIPES: dict[str, str] = {
    "lsun256/ddpm": "ADM, LSUN 256",
    **{f"imagenet{size}/ddpm": f"ADM, ImageNet {size}" for size in (64, 128, 256, 512)},
    **{f"imagenet{size}/noisy_classifier": f"classifier, {size}" for size in (64, 128, 256, 512)},
    "imagenet256/ddpm_upsampler": "ADM, 64 to 256",
    "imagenet512/ddpm_upsampler": "ADM, 128 to 512",
    "cifar10/ddpm": "IDDPM, CIFAR-10",
    "cifar10/ddpm_2020": "DDPM, CIFAR-10",
}
"""Shipped recipe -> whose network it has."""
