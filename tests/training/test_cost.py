"""Memory of an iteration: what is kept at one time, in chains as in updates, and what each process keeps for itself."""

from __future__ import annotations

import torch
from torch import nn

from genkit.core import catalog
from genkit.core.input_gradient import input_gradient
from genkit.training.cost import Cost, KeptMemory, cost_of
from genkit.training.recipe import Recipe
from genkit.training.rehearsal import rehearsals
from tests.contracts.specs import LANGEVIN
from tests.vae.energy.test_vaebm_training import recipe as tiny_vaebm


def test_what_is_let_go_does_not_count_with_what_comes_after_it() -> None:
    memory = KeptMemory(())
    for rows in (100, 300, 200):
        with memory.watching():
            input_gradient(lambda x: x.exp().sum(1), torch.zeros(rows, 1))
    assert memory.most == 4 * 300 and memory.now == 0


def test_weights_are_no_activations_and_memory_that_two_share_counts_once() -> None:
    layer, x = nn.Linear(50, 10), torch.zeros(2, 50)
    memory = KeptMemory(layer.parameters())
    with memory.watching():
        kept = [layer(x.requires_grad_()), layer(x)]
    assert memory.now == memory.most == x.nbytes
    kept.clear()
    assert memory.now == 0


def cost(accumulate: int = 1, **system: object) -> Cost:
    recipe = vaebm(accumulate, **system)
    ((_, _, trainer),) = rehearsals(recipe, lambda *_: catalog.build(recipe.data, kind="data"))
    return cost_of(trainer)


def vaebm(accumulate: int = 1, **system: object) -> Recipe:
    tree = tiny_vaebm(2, **system).to_dict()
    tree["train"] |= {"batch_size": 64, "accumulate": accumulate}
    return Recipe.from_dict(tree)


def test_the_graph_of_langevin_steps_counts_and_is_not_split() -> None:
    """Micro-batches make an update smaller. The chains before it are of the whole batch, one step at a time."""
    whole, split = cost(), cost(accumulate=8)
    assert split.activations > whole.activations / 4
    longer = {**LANGEVIN, "steps": LANGEVIN["steps"] + 3}
    assert cost(8, langevin=longer).activations == split.activations


def test_persistent_chains_are_told_apart_from_weights() -> None:
    from genkit.cli.dry_run import describe_run

    chains = {"type": "persistent_chains", "size": 100_000}
    without, kept = cost(), cost(chains=chains)
    assert kept.state == without.state and without.own_state == 0
    assert kept.own_state == 4 * 3 * 100_000 + 8, "latents of 3 numbers, and their count"
    words = " ".join(describe_run(vaebm(chains=chains)).split())
    assert "; 1.14 MiB that each process keeps for itself (chains.latents, chains.pushed); " in words
    assert "keeps for itself" not in describe_run(vaebm())
