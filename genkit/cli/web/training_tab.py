"""The tab of trainings: curves and newest samples of a run, read anew every few seconds while the tab is open."""

from __future__ import annotations

from typing import Any

import gradio as gr

from genkit.cli.web.library import Library, chosen
from genkit.cli.web.markup import note
from genkit.cli.web.sample_tab import refusing
from genkit.cli.web.watching import state_of, watched

EVERY_S = 3.0


def training_tab(library: Library) -> tuple[gr.Timer, gr.Dropdown]:
    """Builds the tab; returns the timer, which stands until somebody looks, and the list of runs."""
    run = gr.Dropdown(list(library.runs()), value=None, label="Run", elem_id="run")
    shown = gr.HTML(elem_id="watched")
    seen = gr.State("")
    timer = gr.Timer(EVERY_S, active=False)

    def look(name: str | None, seen: str) -> tuple[Any, str]:
        if not name:
            return note("There is no run here yet: genkit train starts one."), ""
        path = library.root / name
        state = state_of(path) if path.is_dir() else ""
        if state and state == seen:
            return gr.skip(), seen
        return refusing(lambda: watched(chosen(library.runs(), name))), state

    gr.on([timer.tick, run.change], look, [run, seen], [shown, seen], show_progress="hidden")
    return timer, run
