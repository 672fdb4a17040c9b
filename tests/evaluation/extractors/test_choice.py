"""The choice of the extractor, its name, and its view of images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.classifiers.conv_classifier import Classifier
from genkit.core.catalog import CATALOG, build
from genkit.core.errors import EvaluationError, WeightsError
from genkit.core.files import sha256_of_file
from genkit.core.location import WEIGHTS
from genkit.evaluation.extractors.choice import default_extractor, extractor_for
from genkit.evaluation.extractors.extractor import sha256_of_state
from genkit.evaluation.extractors.resize import clean
from genkit.evaluation.metrics.scores_by_name import label
from genkit.images.pixels import from_uint8, to_channels, to_uint8


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("mnist/train", (1, 28, 28), "mnist-classifier"),
        ("digits/all", (1, 28, 28), "mnist-classifier"),
        ("fashion_mnist/test", (1, 28, 28), "fashion-mnist-classifier"),
        ("fashion_mnist/test", (1, 32, 32), "efficientnet-lite0"),
        ("mnist/train", (3, 28, 28), "efficientnet-lite0"),
        ("my pictures", (1, 28, 28), "efficientnet-lite0"),
        ("cifar10/train", (3, 32, 32), "efficientnet-lite0"),
        ("a folder", None, "efficientnet-lite0"),
        ("stacked_mnist/train", (3, 28, 28), "stacked-mnist-classifier"),
        ("stacked_mnist/train", (3, 32, 32), "efficientnet-lite0"),
        ("gaussians8", (2,), "points"),
    ],
)
def test_the_reference_chooses(name, shape, expected):
    assert default_extractor(name, shape) == expected


@pytest.mark.parametrize("metric", ["fd", "kd", "is", "precision"])
@pytest.mark.parametrize("name", CATALOG["extractors"])
def test_only_published_weights_have_the_published_names(metric, name):
    assert label(metric, name, False).endswith(f"/{name}")
    assert not label(metric, name, False).startswith(("FID", "KID", "IS"))


def picture(channels=3, size=20):
    return torch.randint(
        0, 256, (4, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_a_saved_classifier_gets_its_own_channels_and_size(tmp_path):
    torch.manual_seed(0)
    judge = Classifier(size=12, channels=1, width=4, classes=3).eval()
    judge.save_pretrained(tmp_path / "judge")
    extractor = extractor_for(str(tmp_path / "judge"))
    seen = clean(to_channels(picture(), 1), 12) / 127.5 - 1
    with torch.no_grad():
        expected, logits = judge.features(seen), judge(seen)
    found = extractor(picture())
    assert torch.allclose(found.features, expected, atol=1e-5) and torch.allclose(found.logits, logits, atol=1e-5)
    assert extractor.sha256 == sha256_of_file(tmp_path / "judge" / WEIGHTS) and extractor.class_names == ("0", "1", "2")


def test_a_module_sees_images_from_minus_one_to_one():
    found = extractor_for(nn.Flatten())(picture(1, 4)).features
    assert torch.allclose(found, from_uint8(picture(1, 4)).flatten(1), atol=1e-6)


def test_modules_keep_their_mode_and_are_never_trained():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).train()
    extractor = extractor_for(module)
    assert torch.equal(extractor(picture()).features, extractor(picture()).features)
    assert module.training and not extractor(picture()).features.requires_grad


def test_double_networks_keep_their_precision():
    assert (
        extractor_for(nn.Sequential(nn.Flatten(), nn.Linear(48, 2).double()))(picture(3, 4)).features.dtype
        == torch.float64
    )


def test_the_hash_follows_the_state():
    torch.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    same = nn.Linear(3, 2)
    same.load_state_dict(first.state_dict())
    assert sha256_of_state(first) == sha256_of_state(same) != sha256_of_state(second)


def test_what_cannot_be_an_extractor(tmp_path):
    with pytest.raises(EvaluationError, match="did you mean 'inception'"):
        extractor_for("inceptoin")
    with pytest.raises(EvaluationError, match="has its own weights"):
        extractor_for("mnist-classifier", weights="w.pth")
    with pytest.raises(EvaluationError, match="has its weights already"):
        extractor_for(nn.Flatten(), weights="w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth does not exist"):
        extractor_for("efficientnet-lite0", weights=tmp_path / "w.pth")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="has no config"):
        extractor_for(str(tmp_path / "empty"))


def test_what_an_image_extractor_refuses():
    extractor = extractor_for(Classifier(size=8, width=4, classes=2))
    for wrong in (torch.zeros(3, 2), torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8)):
        with pytest.raises(EvaluationError, match="takes uint8 images"):
            extractor(wrong)


def test_stacked_digits_are_told_as_their_colours_are() -> None:
    grey = extractor_for("mnist-classifier")
    stacked = extractor_for("stacked-mnist-classifier")
    chosen = torch.randperm(5000, generator=torch.Generator().manual_seed(0))[:60]
    digits = to_uint8(build({"type": "digits"}, kind="data").rows(chosen))
    each, found = grey(digits), stacked(digits.view(20, 3, 28, 28))
    assert each.logits is not None and found.logits is not None
    assert found.features.equal(each.features.view(20, -1)) and found.logits.shape == (20, 1000)
    triples = each.logits.argmax(1).view(20, 3) @ torch.tensor([100, 10, 1])
    assert found.logits.argmax(1).equal(triples) and len(triples.unique()) > 10
    assert found.logits.exp().sum(1).allclose(torch.ones(20)), "probabilities"
    assert stacked.class_names[427] == "427"
