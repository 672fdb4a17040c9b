from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.core.errors import RecipeError
from genkit.core.generator import Generator
from genkit.data.dataset import DataSet
from genkit.training import train
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from genkit.vae.exemplar_choice import Chosen, RandomExemplars
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.networks.gated_vae import GatedVAENetwork
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining
from tests.training.tiny import by_example

SIDE = 4


def data(n: int = 12) -> DataSet:
    pixels = torch.randint(0, 256, (n, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    return DataSet("noise", pixels.to(torch.uint8))


def training(exemplars=None, prior=None, warmup: int = 0) -> VAETraining:
    torch.manual_seed(0)
    return VAETraining(VAE(GatedVAENetwork(SIDE, 1, 2, 6), prior=prior or ExemplarPrior()), warmup, exemplars)


def trainer(system: VAETraining, items: DataSet) -> Trainer:
    system.setup(items)
    return Trainer(system, Stream(items, 4, seed=0), {"vae": Adam(lr=1e-2)}, steps=10, ema_decay=0.5)


def test_beta_rises_in_a_straight_line() -> None:
    assert [training(warmup=4).beta(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert training().beta(0) == 1


def test_an_item_never_sees_itself() -> None:
    """All of an item's copies are left out of its own prior: moving them changes nothing, moving others does."""
    system, x = training(), torch.rand(3, 1, SIDE, SIDE).round()
    values, index = torch.rand(5, 1, SIDE, SIDE), torch.tensor([7, 8, 9])
    items = torch.tensor([7, 7, 8, 1, 2])

    def divergence(values: torch.Tensor, row: int) -> float:
        on = {"x": x[row : row + 1], "noise": [torch.ones(1, 2)], "index": index[row : row + 1], "count": None}
        return system.loss(**on, beta=1.0, chosen=Chosen(items, values=values))["divergence"].item()

    moved = values.clone()
    moved[:2] = 1 - moved[:2]
    assert divergence(moved, 0) == pytest.approx(divergence(values, 0), abs=1e-6)
    assert abs(divergence(moved, 1) - divergence(values, 1)) > 1e-4


def test_gradients_reach_the_encoder_through_the_exemplars() -> None:
    system = training()
    values, x = torch.rand(5, 1, SIDE, SIDE), torch.rand(2, 1, SIDE, SIDE).round()
    on = {"x": x, "noise": [torch.ones(2, 2)], "index": torch.tensor([7, 8]), "count": None, "beta": 1.0}
    gradients = []
    for chosen in (
        Chosen(torch.arange(5), values=values),
        Chosen(torch.arange(5), means=system.generator.network.posterior(values).mean.detach()),
    ):
        system.zero_grad()
        system.loss(**on, chosen=chosen)["divergence"].backward()
        gradients.append(system.generator.network.latent.mean.weight.grad.clone())
    assert (gradients[0] - gradients[1]).abs().max() > 1e-3


def test_exemplars_are_encoded_as_grey_levels_and_posteriors_from_binary_pixels() -> None:
    system, items = training(RandomExemplars(6)), data()
    stream = Stream(items, 4, seed=0)
    system.setup(items)
    stream.begin(0)
    update = next(iter(system.iteration(stream, 0)))
    assert update.on["x"].unique().tolist() == [0, 1]
    chosen = update.shared["chosen"]
    torch.testing.assert_close(chosen.values, items.x[chosen.items].float() / 255)


def test_what_is_sampled_has_all_exemplars_and_leaves_no_trace() -> None:
    items = data()
    run = trainer(training(RandomExemplars(6)), items)
    run.iterate()
    product = run.ema.module
    before = {k: v.clone() for k, v in product.state_dict().items()}
    config = repr(product.config)
    with run.system.for_inference(product):
        assert len(product.exemplars) == len(items)
        torch.testing.assert_close(product.exemplars.means, product.encode(items.rows(torch.arange(len(items)))))
        assert product.exemplars.origin[0]["fingerprint"] == items.fingerprint
        assert product.config["prior"]["exemplars"] == len(items)
        assert product.sample(2).shape == (2, 1, SIDE, SIDE)
    after = product.state_dict()
    assert before.keys() == after.keys() and all(v.equal(after[k]) for k, v in before.items())
    assert repr(product.config) == config and len(product.exemplars) == 0
    run.iterate()


def test_other_priors_have_nothing_to_present() -> None:
    from genkit.vae.latent_priors import StandardNormal

    system = training(prior=StandardNormal())
    system.setup(data())
    with system.for_inference(system.generator):
        system.generator.sample(1)
    with pytest.raises(RecipeError, match="exemplars: a VAE with the prior StandardNormal has none"):
        training(RandomExemplars(6), StandardNormal())


def test_more_exemplars_than_data_are_refused_unless_they_may_repeat() -> None:
    with pytest.raises(RecipeError, match=r"exemplars\.size: 13 cannot be drawn without replacement from 12 items"):
        training(RandomExemplars(13, replacement=False)).setup(data())
    training(RandomExemplars(13)).setup(data())


def test_without_replacement_no_exemplar_comes_twice() -> None:
    items = data()
    for replacement, size in ((False, 12), (True, 40)):
        system, stream = training(RandomExemplars(size, replacement)), Stream(items, 4, seed=0)
        system.setup(items)
        stream.begin(0)
        chosen = next(iter(system.iteration(stream, 0))).shared["chosen"]
        assert len(chosen.items) == size
        assert (len(chosen.items.unique()) == size) is not replacement


def test_many_exemplars_are_encoded_in_chunks_with_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    system, values = training(), torch.rand(9, 1, SIDE, SIDE)
    from genkit.vae import exemplar_choice

    found = []
    for chunk in (4, 100):
        monkeypatch.setattr(exemplar_choice, "CHUNK", chunk)
        system.zero_grad()
        means = exemplar_choice.encode_means(system.generator, values)
        means.square().sum().backward()
        gradients = [p.grad.clone() for p in system.generator.network.encoder.parameters()]
        found.append((means.detach(), gradients))
    torch.testing.assert_close(found[0], found[1])


def test_a_run_leaves_a_model_with_its_exemplars(tmp_path: Path) -> None:
    recipe = by_example(3)
    folder = train(recipe, tmp_path / "run")
    assert len(list((folder / "grids").glob("*.png"))) == 1
    vae, items = Generator.from_pretrained(folder), recipe.build_data()
    assert isinstance(vae, VAE) and len(vae.exemplars) == len(items)
    torch.testing.assert_close(vae.exemplars.means, vae.encode(items.rows(torch.arange(len(items)))).detach())
    assert vae.exemplars.origin[0]["fingerprint"] == items.fingerprint
