"""A bench as a Markdown table and as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genkit.core.files import write_text_atomically
from genkit.evaluation.bench.figures import plots
from genkit.evaluation.bench.summary import best
from genkit.images.pixels import data_url

LEGEND = (
    "In brackets a 95 % interval: over seeds, and never narrower than by the standard error of one. Seconds of "
    "sampling are those of the CPU where networks run there."
)


def write_reports(result: dict[str, Any], folder: Path) -> None:
    """bench.md and bench.html beside bench.json.

    Raises:
        CheckpointError: they cannot be written.
    """
    write_text_atomically(folder / "bench.md", markdown(result))
    write_text_atomically(folder / "bench.html", html(result, folder))


def markdown(result: dict[str, Any]) -> str:
    """Title, the settings behind all numbers, and a table with the best mean of every column in bold."""
    header, rows = table(result)
    lines = [f"# {_escaped(result['bench']['name'])}", "", _escaped(about(result)), "", _line(header)]
    lines.append("|" + "|".join([" --- ", *[" ---: "] * (len(header) - 1)]) + "|")
    lines += [_line([f"**{_escaped(c)}**" if bold else _escaped(c) for c, bold in row]) for row in rows]
    lines += ["", LEGEND, *[f"\nWarning: {_escaped(w)}" for w in result["warnings"]]]
    return "\n".join(lines) + "\n"


def html(result: dict[str, Any], folder: Path) -> str:
    """The page; everything that came from a file is escaped, every picture is inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent))
    header, rows = table(result)
    pictures = ("samples", "neighbours")
    entries = [
        {"name": e["name"], **{k: e[k] and data_url((folder / e[k]).read_bytes()) for k in pictures}}
        for e in result["entries"]
    ]
    return pages.get_template("bench.html.j2").render(
        bench=result["bench"],
        about=about(result),
        legend=LEGEND,
        header=header,
        rows=rows,
        warnings=result["warnings"],
        plots=[(title, data_url(png)) for title, png in plots(result["entries"], result["bench"]["cost"]).items()],
        entries=entries,
        has_neighbours=any(e["neighbours"] for e in entries),
    )


def table(result: dict[str, Any]) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Header and rows of cells, each with whether it is the best of its column, real data only where all are real."""
    entries = result["entries"]
    names = list(dict.fromkeys(name for e in entries for name in e["summary"]))
    labels = [next(e["summary"][n] for e in entries if n in e["summary"]) for n in names]
    known = [key for key in ("parameters", "training") if any(e[key] is not None for e in entries)]
    header = ["entry", *(f"{s['label']} {'↓' if s['better'] == 'lower' else '↑'}" for s in labels), *known]
    generators = any(e["parameters"] is not None for e in entries)
    winners = best([e["summary"] if not generators or e["parameters"] is not None else {} for e in entries])
    rows = [
        [
            (e["name"], False),
            *((_cell(e["summary"].get(n)), winners[n] == i) for n in names),
            *((_text(e[key]), False) for key in known),
            ("" if e["cost"] is None else f"{e['cost']:.3g}", False),
        ]
        for i, e in enumerate(entries)
    ]
    return [*header, result["bench"]["cost"]], rows


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _cell(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return ""
    ends = "" if summary["low"] is None else f" ({summary['low']:.3g} to {summary['high']:.3g})"
    return f"{summary['mean']:.4g}{ends}"


def about(result: dict[str, Any]) -> str:
    """The settings that all numbers depend on."""
    seeds = ", ".join(map(str, result["bench"]["seeds"]))
    versions = result["versions"]
    extractors = " and ".join(
        f"{e['name']} (sha256 {e['sha256'][:8]}, resize {e['resize']})" for e in result["extractors"]
    )
    return (
        f"Against {result['reference']}; n = {result['bench']['n']}, seeds {seeds}, extractor "
        f"{extractors}, genkit {versions['genkit']}, torch {versions['torch']}."
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    """Safe inside a Markdown table: no columns, markup or HTML of its own."""
    for mark in "\\`*_|[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
