"""The tab of a visitor's own image: variations of it, the way to another one, and how unusual it is."""

from __future__ import annotations

from functools import cache
from typing import Any

import gradio as gr

from genkit.cli.web.controls import dropped
from genkit.cli.web.library import Library
from genkit.cli.web.markup import figure, note, numbers, refusal
from genkit.cli.web.pictures import edits, opened, score_of, scores, varies
from genkit.cli.web.sample_tab import COUNT, LATEST, counted, place, refusing
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator

SIDE = 240


def image_tab(library: Library, weights: gr.State, choice: gr.Dropdown) -> None:
    """Builds the tab; of weights that can do neither it says so, and others are a click away in `choice`."""

    @gr.render(inputs=weights, triggers=[weights.change], show_progress="hidden")
    def build(name: str | None) -> None:
        try:
            found = opened(place(library, name))
        except GenkitError as refused:
            gr.HTML(refusal(str(refused)))
            return
        if not (varies(found) or scores(found)):
            gr.HTML(note("These weights neither vary an image nor score one. Of the shipped ones these do:"))
            with gr.Row():
                for other in (name for name, place in library.shipped.items() if _takes_images(place)):
                    gr.Button(other, size="sm").click(lambda other=other: other, None, choice)
            return
        _build(library, weights, varies(found), scores(found))


@cache
def _takes_images(place: str) -> bool:
    """Of shipped weights, which are opened once for it, beside those that `opened` keeps."""
    try:
        found: Generator = Generator.from_pretrained(place)
    except GenkitError:
        return False
    return varies(found) or scores(found)


def _build(library: Library, weights: gr.State, can_vary: bool, can_score: bool) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            image = dropped("your image", elem_id="dropped", height=SIDE)
            other = dropped("and another, for the way between them", visible=can_vary, height=SIDE)
            n = gr.Slider(COUNT.low, COUNT.high, 15, step=1, interactive=True, label="images", visible=can_vary)
            seed = gr.Number(0, label="seed", precision=0, minimum=0, maximum=LATEST, interactive=True)
            vary = gr.Button("Vary", variant="primary", visible=can_vary, elem_id="vary")
            score = gr.Button("Score", visible=can_score, elem_id="score")
        with gr.Column(scale=3, min_width=320):
            picture = gr.HTML(elem_id="varied")
            table = gr.HTML(elem_id="scored")

    def varied(name: str, image: str | None, other: str | None, n: Any, seed: Any) -> str:
        given = [path for path in (image, other) if path]
        if not image:
            return refusal("drop an image first")
        return refusing(lambda: figure(edits(place(library, name), given, *counted(seed, n))))

    def scored(name: str, image: str | None, seed: Any) -> str:
        if not image:
            return refusal("drop an image first")
        higher = note("A higher outlier score is more unusual; compare it with those of images like the training data.")
        return refusing(lambda: numbers(score_of(place(library, name), image, counted(seed, 1)[1])) + higher)

    inputs = [weights, image, other, n, seed]
    if can_vary:
        gr.on([vary.click, image.upload, other.upload, n.release, seed.submit], varied, inputs, picture)
    if can_score:
        gr.on([score.click], scored, [weights, image, seed], table)
