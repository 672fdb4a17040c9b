"""The promises of genkit.core.generator.Generator, held by every generator of the catalog."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor

from genkit.core.condition import ConditionSpace
from genkit.core.errors import ConditionError, GenkitError
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.randomness import Rows
from genkit.data.digits import digits
from tests.contracts.specs import GENERATOR_SPECS, seeded

ITEMS = digits("test", 8)
"""Images that are made small and given to upsamplers."""

ROUNDING = 1e-3
"""Of sums in another order, over the steps of a diffusion, which multiply them: an eighth of a grey level."""


@pytest.fixture(params=GENERATOR_SPECS)
def generator(request: pytest.FixtureRequest) -> Generator:
    return copy.deepcopy(made_once(request.param)).over(ITEMS)


@cache
def made_once(name: str) -> Generator:
    """With what a little training would have given: no layer at zero, and running statistics that tell modes apart."""
    made: Generator = seeded(GENERATOR_SPECS[name])
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    if isinstance(made, LatentGenerator):
        for _ in range(20):
            made.train()(made.prior(16), made.conditions.resolve(None, 16, Rows(16)))
    return made


def rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shape_type_range_and_no_graph(generator: Generator) -> None:
    x = generator.sample(5, rng=rng())
    assert x.shape == (5, *generator.sample_shape) and x.dtype == torch.float32
    assert not x.requires_grad and x.isfinite().all()
    if len(generator.sample_shape) == 3:
        assert x.min() >= -1 and x.max() <= 1
    assert x.std(0).max() > 0, "all samples are equal"


def test_same_rng_same_samples_and_another_rng_others(generator: Generator) -> None:
    assert generator.sample(4, rng=rng()).equal(generator.sample(4, rng=rng()))
    assert not generator.sample(4, rng=rng()).equal(generator.sample(4, rng=rng(4)))


def test_without_rng_the_global_one_is_used(generator: Generator) -> None:
    torch.manual_seed(1)
    first, second = generator.sample(3), generator.sample(3)
    torch.manual_seed(1)
    assert generator.sample(3).equal(first) and not first.equal(second)


def test_with_an_rng_the_global_state_is_left_alone(generator: Generator) -> None:
    before = torch.get_rng_state()
    generator.sample(3, rng=rng())
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64])
def test_sample_does_not_depend_on_its_batch(generator: Generator, batch_size: int) -> None:
    whole = generator.sample(7, rng=rng())
    parts = list(generator.stream(7, batch_size, rng=rng()))
    assert [len(p) for p in parts] == [min(batch_size, 7 - s) for s in range(0, 7, batch_size)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(generator.sample(3, rng=rng()), whole[:3], rtol=0, atol=ROUNDING)
    chosen = torch.cat(list(generator.stream(7, batch_size, rng=rng(), only=[5, 0, 6])))
    torch.testing.assert_close(chosen, whole[[5, 0, 6]], rtol=0, atol=ROUNDING)


def test_a_batch_dependent_generator_would_be_noticed(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(self: Generator, condition: dict[str, Tensor], rows: Rows) -> Tensor:
        x = rows.normal(*self.sample_shape)
        return x - x.mean(0)

    monkeypatch.setattr(type(generator), "_sample", leaky)
    whole = generator.sample(7, rng=rng())
    assert (torch.cat(list(generator.stream(7, 3, rng=rng()))) - whole).abs().max() > 1e-2


def test_works_under_no_grad_inference_mode_and_in_training_mode(generator: Generator) -> None:
    want = generator.eval().sample(3, rng=rng())
    with torch.no_grad():
        assert generator.sample(3, rng=rng()).equal(want)
    with torch.inference_mode():
        assert generator.sample(3, rng=rng()).equal(want)
    generator.train()
    parts = list(generator.children())
    parts[0].eval()
    state = {k: v.clone() for k, v in generator.state_dict().items()}
    assert generator.sample(3, rng=rng()).equal(want)
    assert generator.training and not parts[0].training, "modes are put back"
    assert all(v.equal(state[k]) for k, v in generator.state_dict().items()), "sampling changes no state"


@pytest.mark.parametrize("n", [0, -1, True, 2.0, "3", None])
def test_a_wrong_number_is_refused(generator: Generator, n: object) -> None:
    with pytest.raises(GenkitError, match="at least 1"):
        generator.sample(n)  # type: ignore[arg-type]
    with pytest.raises(GenkitError, match="at least 1"):
        next(generator.stream(n))  # type: ignore[arg-type]
    with pytest.raises(GenkitError, match="at least 1"):
        next(generator.stream(3, n))  # type: ignore[arg-type]


def test_unknown_conditions_are_refused_by_name(generator: Generator) -> None:
    for draw in (generator.sample, lambda n, **k: next(generator.stream(n, **k))):
        with pytest.raises(ConditionError, match="colour"):
            draw(2, condition={"colour": [1, 2]})
    if "label" in generator.conditions:
        with pytest.raises(ConditionError, match="did you mean 'label'"):
            generator.sample(2, condition={"labels": 1})


@pytest.mark.parametrize("value", [[0, 1, 2], [0.5, 1.0], -1, 999, "three", None])
def test_wrong_labels_are_refused(generator: Generator, value: object) -> None:
    for draw in (generator.sample, lambda n, **k: list(generator.stream(n, 1, **k))):
        with pytest.raises(ConditionError, match="label"):
            draw(2, condition={"label": value})


def test_labels_steer_and_one_stands_for_all(generator: Generator) -> None:
    if "label" not in generator.conditions:
        assert isinstance(generator.conditions, ConditionSpace)
        assert all(column.free or name == "probabilities" for name, column in generator.conditions.items())
        return
    ones = generator.sample(4, condition={"label": 1}, rng=rng())
    assert generator.sample(4, condition={"label": torch.tensor([1] * 4)}, rng=rng()).equal(ones)
    assert (generator.sample(4, condition={"label": 2}, rng=rng()) - ones).abs().max() > 1e-4
    mixed = {"label": [0, 1, 0, 1]}
    whole = generator.sample(4, condition=mixed, rng=rng())
    parts = torch.cat(list(generator.stream(4, 3, condition=mixed, rng=rng())))
    torch.testing.assert_close(parts, whole, rtol=0, atol=ROUNDING)


def test_probabilities_steer_and_a_class_stands_for_its_certainty(generator: Generator) -> None:
    if "probabilities" not in generator.conditions:
        return
    one = generator.sample(4, condition={"probabilities": "1"}, rng=rng())
    certain = torch.eye(10)[1].expand(4, -1)
    assert generator.sample(4, condition={"probabilities": certain}, rng=rng()).equal(one)
    mixed = {"probabilities": torch.stack([torch.eye(10)[k % 2] for k in range(4)])}
    whole = generator.sample(4, condition=mixed, rng=rng())
    assert (whole[::2] - one[::2]).abs().amax((1, 2, 3)).min() > 1e-4
    torch.testing.assert_close(whole[1::2], one[1::2], rtol=0, atol=ROUNDING)
    parts = torch.cat(list(generator.stream(4, 3, condition=mixed, rng=rng())))
    torch.testing.assert_close(parts, whole, rtol=0, atol=ROUNDING)


def test_save_and_load_give_equal_samples(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = generator.save_pretrained(tmp_path_factory.mktemp("weights"))
    loaded = Generator.from_pretrained(folder).over(ITEMS)
    assert type(loaded) is type(generator) and not loaded.training and loaded.config == generator.config
    assert loaded.sample(4, rng=rng()).equal(generator.sample(4, rng=rng()))
