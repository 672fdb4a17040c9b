"""Names of classifiers and their training."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "systems": {
        "attribute_training": Entry(
            "genkit.classifiers.attribute_training:AttributeTraining",
            "The sum of cross-entropy of classes and squared error of numbers, over all attributes.",
        ),
        "classifier_training": Entry(
            "genkit.classifiers.classifier_training:ClassifierTraining",
            "Cross-entropy on randomly shifted images, and on images made from them.",
            ("szegedy2016inception",),
        ),
        "domain_adaptation": Entry(
            "genkit.classifiers.domain_adaptation:DomainAdaptation",
            "Three players (Balaji et al. 2020): critic D of features, weights W of target images, classifier C of F.",
            ("balaji2020robust", "ganin2016dann"),
        ),
    },
    "networks": {
        "attribute_predictor": Entry(
            "genkit.classifiers.attribute_predictor:AttributePredictor",
            "Images in [-1, 1], (B, channels, size, size) -> what each attribute is.",
        ),
        "measured_shape": Entry(
            "genkit.classifiers.measured_shape:MeasuredShape",
            "Images of the data set `shapes` -> hue, size and place of the shape, and its ground, from pixels.",
        ),
        "classifier": Entry(
            "genkit.classifiers.conv_classifier:Classifier",
            "Images in [-1, 1], (B, channels, size, size) -> logits (B, classes).",
        ),
        "mlp_classifier": Entry(
            "genkit.classifiers.mlp_classifier:MLPClassifier",
            "Images -> hidden layers with ReLU -> logits; the order of pixels does not matter.",
        ),
        "own_classifier": Entry(
            "genkit.classifiers.own_classifier:OwnClassifier",
            "A module of your own, given on the command line or in Python; a file keeps its shape and classes alone.",
        ),
        "library_classifier": Entry(
            "genkit.classifiers.library_classifier:LibraryClassifier",
            "An architecture of torchvision or timm with weights of your own.",
        ),
        "resized_classifier": Entry(
            "genkit.classifiers.resized_classifier:ResizedClassifier",
            "A classifier of images of another size, which it sees brought to its own.",
        ),
        "imagenet_resnet_classifier": Entry(
            "genkit.classifiers.imagenet_resnet:ImageNetResNetClassifier",
            "Colour images in [-1, 1], (B, 3, size, size) -> logits (B, classes).",
            ("he2016resnet",),
        ),
        "imagenet_resnet_critic": Entry(
            "genkit.classifiers.imagenet_resnet:ImageNetResNetCritic",
            "Colour images -> a number each, as the weight network of Balaji et al. 2020.",
            ("he2016resnet", "balaji2020robust"),
        ),
    },
}
