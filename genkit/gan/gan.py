"""Generative adversarial networks: two networks, one objective, and techniques in named slots.

Goodfellow et al. 2014, arXiv:1406.2661; the critic's view of it: Arjovsky et al. 2017, arXiv:1701.07875.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from genkit.core.condition import Condition, ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.generator import LatentGenerator
from genkit.core.precision import full
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness
from genkit.core.system import Batch, Data, System, Terms, Turns, Update, descend
from genkit.core.tree import Tree
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.latent import LatentNetwork
from genkit.gan.objectives import Objective, Wasserstein
from genkit.gan.slots import (
    Ascent,
    Judged,
    Player,
    Rule,
    Schedule,
    Technique,
    Term,
    Turn,
    Uniform,
    View,
    Weighting,
    of_side,
)


class GAN(LatentGenerator):
    """x = network(z), z ~ N(0, I), with further latents if the network has some.

    Args:
        network: maps latents, of most (n, latent_dim), to (n, *sample_shape); says `latent_dim`, `sample_shape` and
            `conditions`, the columns that it takes beside a latent.
    """

    def __init__(self, network: LatentNetwork):
        super().__init__()
        self.network = network
        self.latent_dim, self.sample_shape = network.latent_dim, tuple(network.sample_shape)
        self.conditions = ConditionSpace(network.conditions)

    @property
    def standard_normal(self) -> bool:
        return True

    def latents(self, randomness: Randomness) -> Tree:
        return self.network.latents(randomness)

    def forward(self, z: Tree, condition: Condition | None = None) -> Tensor:
        return full(self.network(z, condition))


class GANTraining(System):
    """The two-player game, Algorithm 1 of Arjovsky et al. 2017, with a slot for every further technique.

    Args:
        generator: the player that training leaves behind.
        critic: maps (B, *sample_shape) to scores (B,), large for samples that look real.
        objective: critic and generator terms, from scores.
        critic_steps: critic updates an iteration.
        view: transforms every input of the critic.
        real_weighting, fake_weighting: mean-one weights of the samples in the critic's terms.
        penalties, cotasks: extra terms of either player's loss, or with turns of their own after the rule's; one kind,
            listed under two names. They see unweighted samples, as in all official codes.
        rule: the steps of the generator.
        schedules: set declared attributes at the start of an iteration.
    """

    learners = {"critic": ("critic",), "generator": ("generator",)}  # noqa: RUF012 - a ClassVar of the base

    generator: GAN
    critic: Critic
    view: View
    real_weighting: Weighting
    fake_weighting: Weighting
    rule: Rule

    def __init__(
        self,
        generator: GAN,
        critic: Critic,
        *,
        objective: Objective | None = None,
        critic_steps: Annotated[int, Field(ge=1, le=1000)] = 1,
        view: View | None = None,
        real_weighting: Weighting | None = None,
        fake_weighting: Weighting | None = None,
        penalties: list[Term] | None = None,
        rule: Rule | None = None,
        cotasks: list[Term] | None = None,
        schedules: list[Schedule] | None = None,
    ):
        super().__init__()
        self.generator, self.critic, self.critic_steps = generator, critic, critic_steps
        self.objective = objective or Wasserstein()
        self.view = view or View()
        self.real_weighting, self.fake_weighting = real_weighting or Uniform(), fake_weighting or Uniform()
        self.penalties, self.cotasks = penalties or [], cotasks or []
        self.terms = [*self.penalties, *self.cotasks]
        self.extras = nn.ModuleList(self.terms)
        self.rule = rule or Ascent()
        self.schedules = tuple(schedules or ())
        _check_fit(generator, critic)
        _check_names(self.terms)
        techniques: list[Technique] = [self.view, self.real_weighting, *self.terms, self.rule, *self.schedules]
        for technique in techniques:
            technique.check(self)
        self.fake_weighting.check(self, "fake")

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"generator": self.generator, "critic": self.critic}

    def check_batch(self, rows: int) -> None:
        self.rule.check_batch(rows)

    def learner_of(self, child: str, name: str) -> str:
        return of_side(name, "fake" if child == "fake_weighting" else "real")

    def iteration(self, data: Data, step: int) -> Turns:
        for schedule in self.schedules:
            schedule.apply(self, step)
        for i in range(step * self.critic_steps, (step + 1) * self.critic_steps):
            real = next(data)
            z = self.latents(data, real.x)
            on = {"x": real.x, "y": self.asked(real), "z": z, "u": data.uniform()}
            yield from self.real_weighting.turns(self, on, i)
            yield from self.fake_weighting.turns(self, on, i, "fake")
            report: Any = yield Update("critic", self.critic_loss, on, {"step": i}, self.couples("critic", i))
            self.view.adapt(report)
            for term in self.terms:
                yield from term.after_critic(self, on, i)
        yield from self.rule.turns(self, data, real, z, step)
        for term in self.terms:
            yield from term.turns(self, data, step)

    def asked(self, real: Batch) -> dict[str, Tensor]:
        """The conditions that the generator takes, of a real batch: fakes are made for the same labels."""
        return self.generator.asked(real.x, real.condition)

    def latents(self, data: Data, x: Tensor) -> Tree:
        """Of the fakes that a step on real samples x is given."""
        return self.generator.latents(data)

    def due(self, player: Player, step: int) -> list[Term]:
        """The terms that are part of the player's step number `step`."""
        return [term for term in self.terms if term.of == player and step % term.every == 0]

    def added(self, turn: Turn, step: int) -> Terms:
        """The extra terms of a loss, by name."""
        return descend(**{term.name: term.counted(turn) for term in self.due(turn.player, step)})

    def couples(self, player: Player, step: int) -> bool:
        """Whether the player's loss depends on the samples of a batch together."""
        weightings = (self.real_weighting, self.fake_weighting) if player == "critic" else ()
        return any(part.coupled for part in (*weightings, *self.due(player, step)))

    def score(self, x: Tensor, y: Condition | None = None) -> Tensor:
        """The critic's scores (B,) float32 of x, passed through the view."""
        return full(self.critic(self.view(x), y))

    def judge(self, x: Tensor, y: Condition) -> Judged:
        """Scores together with the critic's features, from one pass; features are None where the critic has none."""
        if not hasattr(self.critic, "features"):
            return Judged(x, y, self.score(x, y), None)
        critic: Any = self.critic
        features = critic.features(self.view(x))
        return Judged(x, y, full(critic.score(features, y)), full(features))

    def critic_loss(self, x: Tensor, y: Condition, z: Tree, u: Tensor, step: int = 0) -> Terms:
        turn = Turn(self, "critic", x, y, z, u)
        real, fake = turn.real, turn.fake
        w_real, w_fake = self.real_weighting(real), self.fake_weighting(fake, "fake")
        # One term, because a Wasserstein critic's offset is arbitrary: its two halves drift apart, their sum does not.
        loss = self.real_weighting.weighted(self.objective.critic_real, real.score, w_real)
        loss = loss + self.fake_weighting.weighted(self.objective.critic_fake, fake.score, w_fake)
        terms = descend(loss=loss) | self.added(turn, step) | self.view.observe(real.score)
        return terms | self.real_weighting.observe(w_real) | self.fake_weighting.observe(w_fake, "fake")


def _check_fit(generator: GAN, critic: nn.Module) -> None:
    made, judged = generator.sample_shape, tuple(getattr(critic, "sample_shape", generator.sample_shape))
    if made != judged:
        raise RecipeError(f"the generator makes {list(made)} but the critic judges {list(judged)}; make them equal")
    outputs, taken = getattr(critic, "outputs", 0), generator.conditions.get("probabilities")
    if outputs and outputs != getattr(taken, "classes", 0):
        raise RecipeError(
            f"the critic weighs scores of {outputs} classes, and the generator takes "
            f"{taken.about if taken else 'no probabilities'}; set outputs to {getattr(taken, 'classes', 0)}"
        )
    classes: Mapping[str, int] = {
        "generator": generator.conditions.classes,
        "critic": getattr(critic, "classes", 0),
    }
    if classes["critic"] not in (0, classes["generator"]):
        raise RecipeError(
            f"the critic knows {classes['critic']} classes and the generator {classes['generator']}; make them equal"
        )


def _check_names(terms: list[Term]) -> None:
    for player in ("critic", "generator"):
        names = ["loss", *(term.name for term in terms if term.of == player)]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"two terms of the {player} are called {name!r}, and one would hide the other")
