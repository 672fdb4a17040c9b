"""Retrieval against the authors' implementation, and against the whole sum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.system import Batch
from genkit.training.stream import Stream
from genkit.vae.exemplar_choice import log_prior_of
from genkit.vae.exemplar_retrieval import FrozenExemplars, LatentCache, RetrievedExemplars
from genkit.vae.log_mixture import LeaveOut
from tests.vae.authors.test_exemplar_vae import BY_EXAMPLE, DENSITY, NETWORK, Case, case
from tests.vae.test_vae_training import data, trainer, training


class Given:
    """Data whose rows and draws are what the test says."""

    def __init__(self, images: Tensor, drawn: Tensor):
        self.images, self.drawn = images, drawn

    def common(self, draw) -> Tensor:
        return self.drawn

    def fetch(self, index: Tensor) -> Batch:
        return Batch(self.images[index], {}, index)


def chosen(c: Case, exemplars: RetrievedExemplars):
    exemplars.cache.means = c.io["knn/cache_before"].clone()
    exemplars.cache.age.fill_(1)
    given = Given(c.vae.likelihood.images(c.images("train_x")), c.io["knn/candidate_indices"])
    with torch.no_grad():
        return exemplars.choose(c.vae, given, c.io["x_indices"][:, 0], c.images("x"))


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_the_authors_estimator(name: str) -> None:
    c = case(name)
    arguments = c.config["args"]
    exemplars = RetrievedExemplars(arguments["number_components"], arguments["approximate_k"], "authors")
    found, count = chosen(c, exemplars)
    assert found.items.equal(c.io["knn/exemplar_indices"]) and count is None
    torch.testing.assert_close(exemplars.cache.means, c.io["knn/cache_after"], **NETWORK)
    index, noise = c.io["x_indices"][:, 0], c.noise("eps0", "eps1")
    with torch.no_grad():
        bound = c.vae.bound(c.images("x"), noise, log_prior_of(c.vae, found, index, count))
    torch.testing.assert_close(bound.divergence, c.io["knn/KL"], **DENSITY)
    torch.testing.assert_close(-bound.log_weight, c.io["knn/loss"], **DENSITY)


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_the_lower_bound_is_one_and_gets_tight(name: str) -> None:
    c = case(name)
    size = c.config["args"]["number_components"]
    z, index, items = c.io["eps0"], c.io["x_indices"][:, 0], c.io["knn/candidate_indices"]
    with torch.no_grad():
        everything = c.vae.latent_prior.around(c.vae.network.posterior(c.images("train_x")[items]).mean)
        whole = everything.log_density(z, LeaveOut(index, items))
        slack = []
        for k in (1, 5, size - 1):
            found, count = chosen(c, RetrievedExemplars(size, k))
            got = log_prior_of(c.vae, found, index, count)(z)
            assert (got <= whole + 1e-5).all()
            slack.append((whole - got).mean().item())
    assert slack[0] >= slack[1] >= slack[2] and slack[2] < 1e-5


def test_the_search_leaves_the_row_itself_out() -> None:
    c = case("vae_binary")
    items = c.io["knn/candidate_indices"]
    own = c.io["x_indices"][:, 0]
    alone = items[torch.isin(items, own)]
    assert len(alone), "the fixture has rows among the candidates"
    exact, _ = chosen(c, RetrievedExemplars(30, 1))
    theirs, _ = chosen(c, RetrievedExemplars(30, 1, "authors"))
    assert torch.isin(theirs.items, own).sum() > torch.isin(exact.items, own).sum()


def encoded(vae, items) -> Tensor:
    return vae.encode(items.rows(torch.arange(len(items)))).detach()


@pytest.mark.parametrize(("refresh", "fresh"), [("whole", [12, 0, 0, 12]), ("rolling", [12, 4, 4, 4])])
def test_the_cache_is_refreshed_when_it_is_due(refresh: str, fresh: list[int]) -> None:
    items, system = data(12), training()
    stream, cache = Stream(items, 4, seed=0), LatentCache(refresh, 3)
    cache.setup(len(items), 2)
    for expected in fresh:
        cache.means.fill_(99.0)
        cache.keep_fresh(system.generator, stream)
        rows = cache.means[:, 0] != 99
        assert rows.sum() == expected
        torch.testing.assert_close(cache.means[rows], encoded(system.generator, items)[rows])
    if refresh == "rolling":
        assert rows.nonzero().flatten().tolist() == [0, 1, 2, 3]


def test_the_batch_s_own_rows_are_kept_up_to_date() -> None:
    run = trainer(training(FrozenExemplars(period=100)), data())
    run.iterate()
    before = run.system.exemplars.cache.means.clone()
    run.iterate()
    changed = (run.system.exemplars.cache.means != before).any(1)
    assert 1 <= changed.sum() <= 4


def test_frozen_exemplars_get_no_gradient_but_count_all() -> None:
    items, system = data(), training(FrozenExemplars())
    system.setup(items)
    stream = Stream(items, 4, seed=0)
    stream.begin(0)
    update = next(iter(system.iteration(stream, 0)))
    found = update.shared["chosen"]
    assert found.values is None and found.items.tolist() == list(range(12)) and not found.means.requires_grad


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(RecipeError, match="neighbours: 10 of 10 candidates"):
        RetrievedExemplars(10, 10)
    with pytest.raises(RecipeError, match="20 cannot be drawn without replacement from 12 items"):
        training(RetrievedExemplars(20, 2, replacement=False)).setup(data())
