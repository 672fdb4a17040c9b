"""Names of directions: what they are made by, and generators that move along them."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

PAPER = ("voynov2020directions",)
ENTRIES: Entries = {
    "generators": {
        "edited": Entry(
            "genkit.posthoc.directions.edited:Edited", "A generator whose latents are moved along a direction.", PAPER
        ),
    },
    "systems": {
        "directions_training": Entry(
            "genkit.posthoc.directions.training:DirectionsTraining",
            "Directions of a finished generator that are easy to tell apart, and the network that does.",
            PAPER,
        ),
    },
    "techniques": {
        "shifts": Entry(
            "genkit.posthoc.directions.shifts:Shifts", "Distribution of directions and strengths in training.", PAPER
        ),
    },
    "networks": {
        "directions": Entry(
            "genkit.posthoc.directions.directions:Directions", "Numbered directions in a space of a generator.", PAPER
        ),
        "linear_deformator": Entry(
            "genkit.posthoc.directions.deformators:LinearDeformator", "Directions W e_k + b of free length.", PAPER
        ),
        "projective_deformator": Entry(
            "genkit.posthoc.directions.deformators:ProjectiveDeformator",
            "Directions whose shift is as long as its strength, sample by sample, as the paper's code has them.",
            PAPER,
        ),
        "unit_columns": Entry(
            "genkit.posthoc.directions.deformators:UnitColumns", "Directions of length one, lines through zero.", PAPER
        ),
        "orthogonal_deformator": Entry(
            "genkit.posthoc.directions.deformators:OrthogonalDeformator",
            "Orthogonal directions, columns of exp(L - L^T).",
            PAPER,
        ),
        "mlp_deformator": Entry(
            "genkit.posthoc.directions.deformators:MLPDeformator", "Curves: x + a residual network.", PAPER
        ),
        "coordinates": Entry(
            "genkit.posthoc.directions.deformators:LatentCoordinates",
            "The coordinates of a latent, not trained.",
            PAPER,
        ),
        "fixed_directions": Entry(
            "genkit.posthoc.directions.deformators:FixedDirections",
            "A matrix of directions that is not trained: random orthonormal ones, or those of a closed form.",
            ("voynov2020directions", "shen2021sefa", "harkonen2020ganspace"),
        ),
        "lenet_reconstructor": Entry(
            "genkit.posthoc.directions.reconstructors:LeNetReconstructor",
            "Two images -> which direction, and how far: three convolutions.",
            PAPER,
        ),
        "resnet18_reconstructor": Entry(
            "genkit.posthoc.directions.reconstructors:ResNet18Reconstructor",
            "Two images -> which direction, and how far: a ResNet-18 from scratch.",
            (*PAPER, "he2016resnet"),
        ),
    },
}
