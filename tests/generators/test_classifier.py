from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genkit.condition import ConditionSpace, Labels
from genkit.errors import RecipeError
from genkit.generators.classifier import ClassifierTraining, shifted
from genkit.networks.classifier import Classifier


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
    x, label, zero = torch.randn(6, 1, 8, 8), torch.arange(6) % 3, torch.zeros(6, dtype=torch.int64)
    logits = system.classifier(x)
    terms = system.loss(x, label, zero, zero)
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
