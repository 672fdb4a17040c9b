from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genkit.classifiers.classifier_training import ClassifierTraining, shifted
from genkit.classifiers.conv_classifier import Classifier
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError
from genkit.data.dataset import DataSet
from genkit.images.pixels import to_uint8
from genkit.training.stream import Stream
from genkit.vae.augment import Augment


def test_images_move_by_their_offsets_and_are_filled_with_black() -> None:
    x = torch.arange(2 * 9, dtype=torch.float32).view(2, 1, 3, 3)
    same = shifted(x, torch.tensor([1, 1]), torch.tensor([1, 1]), 1)
    assert same.equal(x)
    moved = shifted(x, torch.tensor([0, 2]), torch.tensor([1, 2]), 1)
    assert moved[0, 0].tolist() == [[-1, -1, -1], [0, 1, 2], [3, 4, 5]]
    assert moved[1, 0].tolist() == [[13, 14, -1], [16, 17, -1], [-1, -1, -1]]


def test_the_loss_is_smoothed_cross_entropy_and_accuracy_is_a_share() -> None:
    torch.manual_seed(0)
    system = ClassifierTraining(Classifier(8, 1, 3, 4), shift=0, label_smoothing=0.3).eval()
    x, label = torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    logits = system.classifier(x)
    terms = system.loss(x, label)
    log_p = logits.log_softmax(1)
    want = -(0.7 * log_p.gather(1, label[:, None]).squeeze(1) + 0.3 * log_p.mean(1)).mean()
    torch.testing.assert_close(terms["cross_entropy"], want)
    assert terms["accuracy"].item() == pytest.approx((logits.argmax(1) == label).float().mean().item())
    assert F.cross_entropy(logits, label) != terms["cross_entropy"]


def test_data_that_do_not_fit_are_refused() -> None:
    system = ClassifierTraining(Classifier(8, 1, 3, 4))
    space = ConditionSpace({"label": Labels(3)})
    system.check_data((1, 8, 8), space)
    with pytest.raises(RecipeError, match="samples are"):
        system.check_data((3, 8, 8), space)
    with pytest.raises(RecipeError, match="3 classes, but the data have 0"):
        system.check_data((1, 8, 8), ConditionSpace())
    assert system.product is system.classifier


class Mirrored(Augment):
    share = 0.25

    def made(self, x, randomness):
        return x.flip(-1)


def test_what_is_made_of_the_images_shares_the_loss() -> None:
    torch.manual_seed(0)
    plain = ClassifierTraining(Classifier(8, 1, 3, 4), shift=1, label_smoothing=0.1).eval()
    system = ClassifierTraining(plain.classifier, shift=1, label_smoothing=0.1, augment=Mirrored()).eval()
    x, label = torch.rand(6, 1, 8, 8) * 2 - 1, torch.arange(6) % 3
    stream = Stream(DataSet("some", to_uint8(x), label), 6, seed=0)
    stream.begin(0)
    (update,) = system.iteration(stream, 0)
    seen, told = update.on["x"], update.on["label"]
    assert update.on["made"].equal(seen.flip(-1))
    terms = system.loss(**update.on)
    want = 0.75 * plain.loss(seen, told)["cross_entropy"] + 0.25 * plain.loss(seen.flip(-1), told)["cross_entropy"]
    torch.testing.assert_close(terms["cross_entropy"] + terms["on_made"], want)
    assert set(system.all_learners()) == {"classifier"}
