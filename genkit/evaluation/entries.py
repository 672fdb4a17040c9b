"""Names of metrics and of extractors of features."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "metrics": {
        "fd": Entry(
            "genkit.evaluation.metrics.frechet:FrechetDistance",
            "Frechet distance (FID when the extractor is the published Inception)",
            ("heusel2017fid",),
        ),
        "kd": Entry(
            "genkit.evaluation.metrics.kernel:KernelDistance",
            "kernel distance, exact and unbiased over all pairs (KID)",
            ("binkowski2018kid",),
        ),
        "kds": Entry(
            "genkit.evaluation.metrics.kernel:KernelDistanceOfSubsets",
            "kernel distance over 100 subsets of 1,000, as published tools estimate it",
            ("binkowski2018kid",),
        ),
        "is": Entry(
            "genkit.evaluation.metrics.classifier_score:ClassifierScore",
            "classifier score from logits (IS), one split",
            ("salimans2016is",),
        ),
        "pr": Entry(
            "genkit.evaluation.metrics.neighbours:PrecisionRecall",
            "precision and recall, k = 3",
            ("kynkaanniemi2019pr",),
        ),
        "dc": Entry(
            "genkit.evaluation.metrics.neighbours:DensityCoverage", "density and coverage, k = 5", ("naeem2020dc",)
        ),
        "vendi": Entry(
            "genkit.evaluation.metrics.vendi:VendiScore",
            "Vendi score: effective number of different samples",
            ("friedman2023vendi",),
        ),
        "authenticity": Entry(
            "genkit.evaluation.metrics.neighbours:Authenticity",
            "percent of samples that are no copies of reference samples",
            ("alaa2022authenticity",),
        ),
        "modes": Entry(
            "genkit.evaluation.metrics.modes:Modes",
            "modes of a mixture that are found, share of good samples, and how full the rarest mode is",
            ("srivastava2017veegan",),
        ),
        "class_modes": Entry(
            "genkit.evaluation.metrics.class_modes:ClassModes",
            "classes that a classifier finds among the samples, KL of their shares to uniform, and its confidence",
            ("metz2017unrolled", "srivastava2017veegan"),
        ),
    },
    "extractors": {
        "inception": Entry(
            "genkit.evaluation.extractors.inception:inception",
            "the published FID Inception, TensorFlow 1 resize: FID, KID, IS",
            ("szegedy2016inception", "heusel2017fid"),
        ),
        "inception/clean": Entry(
            "genkit.evaluation.extractors.inception:inception_clean",
            "the published FID Inception with clean-fid's resize: FID/clean",
            ("szegedy2016inception", "heusel2017fid", "parmar2022cleanfid"),
        ),
        "efficientnet-lite0": Entry(
            "genkit.evaluation.extractors.efficientnet:efficientnet_lite0",
            "ImageNet features whose weights come with pip",
            ("tan2019efficientnet",),
        ),
        "dinov2": Entry(
            "genkit.evaluation.extractors.dinov2:dinov2",
            "DINOv2 ViT-L/14 from a download, or S, B, L from a local file",
            ("oquab2024dinov2",),
        ),
        "mnist-classifier": Entry(
            "genkit.evaluation.extractors.classifier:mnist_classifier", "shipped: a classifier of 28x28 grey digits"
        ),
        "fashion-mnist-classifier": Entry(
            "genkit.evaluation.extractors.classifier:fashion_mnist_classifier",
            "shipped: a classifier of 28x28 grey clothes",
        ),
        "stacked-mnist-classifier": Entry(
            "genkit.evaluation.extractors.classifier:stacked_mnist_classifier",
            "mnist-classifier for each colour: 1,000 classes of three digits",
            ("metz2017unrolled",),
        ),
    },
}
