"""Names of the techniques of StylEx."""

from __future__ import annotations

from genkit.core.entry import Entry

TECHNIQUES: dict[str, Entry] = {
    "reconstruction": Entry(
        "genkit.gan.styleex.encoded_terms:Reconstruction", "weight * mean |x - x'|.", ("lang2021stylex",)
    ),
    "perceptual": Entry(
        "genkit.gan.styleex.encoded_terms:Perceptual",
        "weight * a distance of x and x' that is not of single pixels.",
        ("lang2021stylex",),
    ),
    "latent_reconstruction": Entry(
        "genkit.gan.styleex.encoded_terms:LatentReconstruction",
        "weight * mean |E(x) - E(x')|, with gradients through both.",
        ("lang2021stylex",),
    ),
    "agreement": Entry(
        "genkit.gan.styleex.encoded_terms:Agreement",
        "weight * mean KL(C(x) || C(x')), of a classifier C.",
        ("lang2021stylex",),
    ),
    "multi_scale": Entry(
        "genkit.gan.styleex.likeness:MultiScale", "mean |a - b| of the images at 1/2, 1/4, ... of their size."
    ),
    "features": Entry(
        "genkit.gan.styleex.likeness:LayerFeatures",
        "Distance of the outputs of layers of a finished network.",
        ("zhang2018lpips",),
    ),
    "lpips": Entry(
        "genkit.gan.styleex.lpips:LPIPS",
        "Distance of features of an ImageNet network, weighed by channel; of local files.",
        ("zhang2018lpips",),
    ),
}
