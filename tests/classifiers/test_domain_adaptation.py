"""Domain adaptation as a game: who descends what, what the weights see, and what no one may see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.classifiers.conv_classifier import Classifier
from genkit.classifiers.domain_adaptation import DomainAdaptation
from genkit.classifiers.image_classifier import ImageClassifier
from genkit.core.chi_square import closed_form, normalised
from genkit.core.errors import RecipeError
from genkit.core.system import Update
from genkit.data.dataset import DataSet
from genkit.data.domains import Domains, domains
from genkit.evaluation.classification import accuracy
from genkit.gan.networks.mlp import MLPCritic
from genkit.gan.networks.robust_dcgan import WeightNetwork
from genkit.gan.objectives import Wasserstein
from genkit.gan.robust_weights import ClosedFormWeights, RobustWeights
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

SIDE, DIM = 8, 6


def classifier(classes: int = 3) -> Classifier:
    return Classifier(SIDE, 1, classes, 2, norm="none")


def game(seed: int = 0, **arguments: object) -> DomainAdaptation:
    torch.manual_seed(seed)
    given = {"critic": MLPCritic(DIM, 8, 1), **arguments}
    return DomainAdaptation(classifier(), **given).train()


def images(n: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(2, n, 1, SIDE, SIDE, generator=rng) * 2 - 1
    return x[0], x[1], torch.arange(n) % 3


def two_domains(relabelled: bool = False) -> Domains:
    source, target, label = (((v + 1) * 127.5).to(torch.uint8) if v.dim() == 4 else v for v in images())
    return domains(DataSet("here", source, label), DataSet("there", target, label.flip(0) if relabelled else label))


def updates(system: DomainAdaptation, step: int = 0) -> dict[str, Update]:
    return {update.learner: update for update in system.iteration(Stream(two_domains(), 8, seed=0), step)}


def test_critic_descends_and_features_climb_the_same_distance() -> None:
    system, (source, target, label) = game(critic_steps=1), images()
    s, t = (system.critic(system.classifier.features(x)) for x in (source, target))
    want = F.softplus(-s).mean() + F.softplus(t).mean()
    torch.testing.assert_close(system.critic_loss(source, target)["distance"], want)
    terms = system.classifier_loss(source, target, label, align=True)
    torch.testing.assert_close(terms["distance"], -want)
    torch.testing.assert_close(terms["cross_entropy"], F.cross_entropy(system.classifier(source), label))
    assert "entropy" not in terms and not terms["accuracy"].requires_grad


def test_features_climb_in_every_fifth_iteration_alone() -> None:
    system = game()
    aligned = [updates(system, step)["classifier"].shared["align"] for step in range(10)]
    assert [step for step, there in enumerate(aligned) if there] == [4, 9]
    seen = updates(system, 0)["classifier"]
    assert set(seen.loss(**seen.on, **seen.shared)) == {"cross_entropy", "accuracy"}


def test_weights_count_in_distance_and_entropy_of_the_target() -> None:
    system, (source, target, label) = game(entropy=0.5, weighting=ClosedFormWeights(rho=0.3)), images()
    system.weighting.updates += 1
    score, logits = (f(system.classifier.features(target)) for f in (system.critic, system.classifier.head))
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    weights = closed_form(0.5 * entropy - F.softplus(score), 0.3)
    assert weights.std() > 0.3
    terms = system.classifier_loss(source, target, label, align=True)
    torch.testing.assert_close(terms["entropy"], 0.5 * (weights * entropy).mean())
    real = F.softplus(-system.critic(system.classifier.features(source))).mean()
    torch.testing.assert_close(terms["distance"], -real - (weights * F.softplus(score)).mean())


def test_the_weight_network_descends_minus_the_distance_plus_the_entropy() -> None:
    weighting = RobustWeights(WeightNetwork(SIDE, 1, 2), rho=0.01)
    system, (_, target, _) = game(entropy=0.25, weighting=weighting), images(8)
    update = updates(system)["weights"]
    assert update.coupled and set(update.on) == {"x", "y"}
    terms = update.loss(x=target, y={})
    raw = F.softplus(weighting.network(target))
    weights, t = normalised(raw), system.classifier.features(target)
    entropy = torch.distributions.Categorical(logits=system.classifier.head(t)).entropy()
    want = (weights * (0.25 * entropy - F.softplus(system.critic(t)))).mean()
    torch.testing.assert_close(terms["fit"], want)
    torch.testing.assert_close(terms["ball"], 100 * F.relu((0.5 * (weights - 1) ** 2).mean() - 0.01))


def test_foreign_targets_lose_their_weight() -> None:
    """A critic that tells a share of the target from the source makes both kinds of weights leave it out."""
    torch.manual_seed(0)
    x = torch.rand(40, 1, SIDE, SIDE) * 0.2
    x[:12] = torch.rand(12, 1, SIDE, SIDE) * 2 - 1
    for weighting in (ClosedFormWeights(0.3), RobustWeights(WeightNetwork(SIDE, 1, 4), 0.3)):
        system = game(weighting=weighting, objective=Wasserstein())
        system.critic = _Smoothness()
        system.classifier.features = lambda x: x.flatten(1)
        system.classifier.head = torch.nn.Linear(SIDE**2, 3)
        weighting.updates += 1
        steps = torch.optim.Adam(weighting.parameters(), 1e-2) if list(weighting.parameters()) else None
        for _ in range(150 if steps else 0):
            steps.zero_grad()
            sum(weighting.loss(system.costs, x, {}).values()).backward()
            steps.step()
        weights = system.weights(x, x.flatten(1))
        assert weights[:12].mean() < 0.1 and weights[12:].mean() > 1.3, type(weighting).__name__


class _Smoothness(torch.nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return -10 * features.diff(dim=1).abs().mean(1)


def trained(data: Domains, steps: int = 4) -> DomainAdaptation:
    torch.manual_seed(0)
    system = game(entropy=0.1, critic_steps=2, weighting=RobustWeights(WeightNetwork(SIDE, 1, 2), 0.2))
    system.check(data)
    rules = dict.fromkeys(system.all_learners(), Adam(lr=1e-2))
    trainer = Trainer(system, Stream(data, 8, seed=3), rules, steps=steps)
    for _ in range(steps):
        trainer.iterate()
    return system


def test_the_target_labels_change_nothing() -> None:
    mine, other = trained(two_domains()).state_dict(), trained(two_domains(relabelled=True)).state_dict()
    assert all(mine[k].equal(other[k]) for k in mine)
    batch = next(Stream(two_domains(), 8, seed=0))
    assert set(batch.condition) == {"label"} and isinstance(batch.target, Tensor)


def test_the_target_changes_the_result() -> None:
    data = two_domains()
    brighter = domains(data, DataSet("there", 255 - data.target.x))
    mine, other = trained(data).classifier.state_dict(), trained(brighter).classifier.state_dict()
    assert any(not mine[k].equal(other[k]) for k in mine)


def test_source_only_needs_no_target_and_leaves_a_classifier(tmp_path: Path) -> None:
    data = two_domains()
    system = game(critic=None)
    assert set(system.all_learners()) == {"classifier"}
    system.check(DataSet("here", data.x, data.labels))
    assert set(updates(system)) == {"classifier"} and updates(system)["classifier"].on["target"] is None
    again = ImageClassifier.from_pretrained(system.product.save_pretrained(tmp_path))
    assert 0 <= accuracy(again, data)["values"]["accuracy"] <= 1


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(RecipeError, match=r"judges \[5\], but the classifier's features are \[6\]; set dims to 6"):
        game(critic=MLPCritic(5, 8, 1))
    with pytest.raises(RecipeError, match="set its classes to 0"):
        game(critic=MLPCritic(DIM, 8, 1, classes=3))
    with pytest.raises(RecipeError, match="nothing to weigh without a critic"):
        game(critic=None, weighting=ClosedFormWeights(0.1))
    with pytest.raises(RecipeError, match=r"the network judges \[1, 16, 16\], samples are \[1, 8, 8\]"):
        game(weighting=RobustWeights(WeightNetwork(16, 1, 2), 0.1))
    with pytest.raises(RecipeError, match="here has no target to adapt to"):
        game().check(DataSet("here", two_domains().x, two_domains().labels))
    with pytest.raises(RecipeError, match="3 classes, but the data have 4"):
        data = replace(two_domains(), labels=torch.arange(24) % 4)
        game().check_data(data.sample_shape, data.conditions)
