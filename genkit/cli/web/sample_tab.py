"""The tab of samples: a seed, the knobs of the chosen generator, and the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gradio as gr

from genkit.cli.web.controls import Control, control, number
from genkit.cli.web.knobs import Knob, PartSlide, Slide, condition_knobs, option_knobs, options_of
from genkit.cli.web.library import Library, chosen
from genkit.cli.web.markup import figure, refusal
from genkit.cli.web.moves import moves_of
from genkit.cli.web.pictures import interpolation, joins, opened, samples
from genkit.cli.web.wishes import Wishes
from genkit.core.errors import GenkitError
from genkit.core.progress import Progress

MOST, FIRST, LATEST = 64, 9, 2**31 - 1
"""Samples at most, and at first; the largest seed."""

FRAMES = Slide("images on the way", "", 2, 32, 8, True)
IN_TURN = "draw"
"""Pictures are drawn one after the other, so that the one asked for last stays."""
SHOWN = gr.Progress()
COUNT = Slide("samples", "", 1, MOST, FIRST, True)
SEED = Slide("seed", "", 0, LATEST, 0, True)


def sample_tab(library: Library, weights: gr.State, movable: gr.State) -> None:
    """Builds the tab, and its knobs anew when `movable`, the weights and the directions at hand, is another pair."""
    picture = gr.HTML(elem_id="picture", render=False)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            with gr.Row():
                seed = gr.Number(
                    0, label="seed", precision=0, minimum=0, maximum=LATEST, interactive=True, elem_id="seed"
                )
                n = gr.Slider(1, MOST, FIRST, step=1, interactive=True, label="samples", elem_id="samples")

            @gr.render(inputs=[movable], triggers=[movable.change], show_progress="hidden")
            def knobs(pair: tuple[str | None, Any] | None) -> None:
                if pair and pair[0]:
                    _knobs(library, weights, pair[0], [seed, n], picture)

        with gr.Column(scale=3, min_width=320):
            picture.render()

    def first(name: str | None, seed: Any, n: Any, progress: Any = SHOWN) -> str:
        if not name:
            return refusal("there are no weights here yet: genkit train makes some")
        return refusing(
            lambda: figure(samples(place(library, name), Wishes(*counted(seed, n)), over_picture(progress)))
        )

    weights.change(first, [weights, seed, n], picture, concurrency_id=IN_TURN)


def _knobs(library: Library, weights: gr.State, name: str, always: list[Any], picture: gr.HTML) -> None:
    """The knobs of one generator, and the buttons that draw."""
    try:
        plain = opened(place(library, name))
        conditions = [control(knob) for knob in condition_knobs(plain)]
        knobs = option_knobs(plain, library.others().values())
        options = [control(knob) for knob in knobs if not isinstance(knob, PartSlide)]
        if parts := [knob for knob in knobs if isinstance(knob, PartSlide)]:
            with gr.Accordion(f"{parts[0].name} of parts".capitalize(), open=False):
                options += [control(knob) for knob in parts]
        moves = moves_of(library, plain)
    except GenkitError as refused:
        gr.HTML(refusal(str(refused)))
        return
    directions = [control(knob) for knob in moves.knobs()]
    controls = [*conditions, *options, *directions]
    components = [component for one in controls for component in one.components]

    def wishes(seed: Any, n: Any, *given: Any) -> Wishes:
        left = iter(given)
        asked, chosen, moved = (wished(group, left) for group in (conditions, options, directions))
        return Wishes(
            *counted(seed, n),
            conditions={knob.name: text(knob, value) for knob, value in asked},
            options=options_of(chosen, knobs),
            move=moves.move(moved[0][1]) if moved else None,
        )

    def draw(name: str, *given: Any, progress: Any = SHOWN) -> str:
        return refusing(lambda: figure(samples(place(library, name), wishes(*given), over_picture(progress))))

    with gr.Row():
        button = gr.Button("Draw", variant="primary", elem_id="draw")
        again = gr.Button("Next seed", elem_id="again")
    changes = [change for one in controls for change in one.changes]
    inputs = [weights, *always, *components]
    seed, n = always
    gr.on(
        [button.click, seed.submit, n.input, *changes],
        draw,
        inputs,
        picture,
        trigger_mode="always_last",
        concurrency_id=IN_TURN,
    )
    following = again.click(lambda seed: (int(seed or 0) + 1) % LATEST, seed, seed, queue=False)
    following.then(draw, inputs, picture, concurrency_id=IN_TURN)
    if joins(plain):
        with gr.Accordion("Between two seeds", open=False):
            last = gr.Number(
                1, label="to seed", precision=0, minimum=0, maximum=LATEST, interactive=True, elem_id="last"
            )
            frames = gr.Slider(FRAMES.low, FRAMES.high, FRAMES.start, step=1, interactive=True, label=FRAMES.name)
            strip = gr.Button("Draw the way", elem_id="way")

        def join(name: str, last: Any, frames: Any, *given: Any) -> str:
            def made() -> str:
                ends = int(number(last, SEED)), int(number(frames, FRAMES))
                return figure(interpolation(place(library, name), wishes(*given), *ends))

            return refusing(made)

        gr.on(
            [strip.click, last.submit, frames.input],
            join,
            [weights, last, frames, *always, *components],
            picture,
            trigger_mode="always_last",
            concurrency_id=IN_TURN,
        )


def place(library: Library, name: Any) -> str:
    """The place of weights that a visitor has chosen."""
    found: str = chosen(library.generators(), name)
    return found


def counted(seed: Any, n: Any) -> tuple[int, int]:
    """Number of samples and seed, checked."""
    return int(number(n, COUNT)), int(number(seed, SEED))


def wished(controls: Iterable[Control], given: Iterator[Any]) -> list[tuple[Knob, Any]]:
    """The knobs that are set, and to what; takes the values of all of their components from `given`."""
    values = [(one.knob, one.value([next(given) for _ in one.components])) for one in controls]
    return [(knob, value) for knob, value in values if value is not None]


def text(knob: Knob, value: str | float) -> str:
    """A value as --condition takes it."""
    return knob.text(float(value)) if isinstance(knob, Slide) else str(value)


def over_picture(progress: Any) -> Progress:
    """Progress of drawing, shown over the picture."""
    return lambda done, total: progress((done, total), unit="samples")


def refusing(made: Callable[[], str]) -> str:
    """The HTML that `made` gives, or the line with which it is refused."""
    try:
        return made()
    except GenkitError as refused:
        return refusal(str(refused))
