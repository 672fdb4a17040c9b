"""A generator as one function of named tensors, for programs that know nothing of genkit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.randomness import Rows
from genkit.core.tree import Tree

if TYPE_CHECKING:
    from genkit.core.generator import Generator, LatentGenerator

Function = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Port:
    """An input or the output of a graph.

    Attributes:
        name: an identifier.
        shape: of a row; n rows are (n, *shape).
        about: its range and meaning, in a few words.
        whole: int64; else float32.
    """

    name: str
    shape: tuple[int, ...]
    about: str
    whole: bool = False


class Graph(nn.Module):
    """A function of named tensors of n rows, each row of the output being one of the same row of the inputs.

    Args:
        generator: holds the weights.
        inputs: in order.
        output: what the function returns, float32.
        function: its inputs by name -> the output.
        example: n rows of every input, for n samples.
        notes: sentences for people who use it elsewhere.
        tables: numbers that go with it, by name; what JSON can hold.
    """

    def __init__(
        self,
        generator: Generator,
        inputs: Sequence[Port],
        output: Port,
        function: Function,
        example: Callable[[int, torch.Generator], dict[str, Tensor]],
        notes: Sequence[str] = (),
        tables: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.generator, self.inputs, self.output = generator, tuple(inputs), output
        self.function, self.example = function, example
        self.notes, self.tables = tuple(notes), dict(tables or {})
        self.eval().requires_grad_(False)

    def forward(self, *given: Tensor) -> Tensor:
        """The output, (n, *output.shape), of one tensor for each of `inputs`."""
        return self.function({port.name: rows for port, rows in zip(self.inputs, given, strict=True)}).float()


def condition_ports(generator: Generator) -> list[Port]:
    """An input for each condition, with what it takes."""
    drawable = {name: column for name, column in generator.conditions.items() if column.drawable}
    rows = {name: column.draw(Rows(1, torch.Generator())) for name, column in drawable.items()}
    return [
        Port(
            name,
            tuple(rows[name].shape[1:]) if name in rows else tuple(getattr(column, "shape")),  # noqa: B009
            column.about,
            name in rows and not rows[name].is_floating_point(),
        )
        for name, column in generator.conditions.items()
    ]


def latent_graph(generator: LatentGenerator) -> Graph:
    """Latents and conditions -> samples, which are those of `generator.sample` for the latents that it draws."""
    from genkit.core.generator import within_range

    generator.eval()
    form = generator.latents(Rows(1, torch.Generator()))
    drawn = "standard normal" if generator.standard_normal else "as `generator.prior(n)` draws it in genkit"
    latents = [Port(name, tuple(rows.shape[1:]), drawn, not rows.is_floating_point()) for name, rows in named(form)]

    def function(given: Mapping[str, Tensor]) -> Tensor:
        rows = iter([given[port.name] for port in latents])
        z = tree.map(lambda _: next(rows), form)
        return within_range(generator(z, {name: given[name] for name in generator.conditions}))

    def example(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        rows = Rows(n, rng, generator.device)
        condition = generator.conditions.resolve(None, n, rows)
        return {**dict(named(generator.latents(rows))), **condition}

    images = len(generator.sample_shape) == 3
    about = "images, -1 is black and 1 is white" if images else "points"
    return Graph(
        generator,
        [*latents, *condition_ports(generator)],
        Port("images" if images else "points", tuple(generator.sample_shape), about),
        function,
        example,
    )


def named(latent: Tree, name: str = "z") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a latent with a name each: z, z_1, z_2 or the names of a mapping, noise_1."""
    if isinstance(latent, Tensor):
        yield name, latent
    elif isinstance(latent, Mapping):
        for key, part in latent.items():
            yield from named(part, key)
    else:
        for number, part in enumerate(latent or (), 1):
            yield from named(part, f"{name}_{number}")
