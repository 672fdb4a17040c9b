"""genkit push: weights go to the Hugging Face Hub, with their card."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import ABOUT_WEIGHTS, WEIGHTS

HUB_NAMES = {
    "digits": "ylecun/mnist",
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
}
"""Data of a run's recipe -> the hub's name of the data set."""


@click.command("push", epilog=ABOUT_WEIGHTS)
@click.argument("weights", type=WEIGHTS)
@click.argument("repository")
@click.option(
    "--license", "licence", help="The hub's name of a licence, such as mit; else that of the card, or unknown."
)
@click.option("--dataset", "datasets", multiple=True, help="The hub's name of training data; may be given again.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
def command(weights: str, repository: str, licence: str | None, datasets: tuple[str, ...], private: bool) -> None:
    """Send WEIGHTS to the REPOSITORY owner/name of the Hugging Face Hub, or to its branch owner/name@branch.

    Safetensors and JSON are sent, and README.md below the header that the hub reads (licence, tags, data sets). The
    token is that of huggingface_hub: 'hf auth login', or HF_TOKEN.
    """
    from genkit.core.errors import WeightsError
    from genkit.core.hub import check_id, hub_card, push
    from genkit.core.location import locate
    from genkit.core.pretrained import described, loaded

    check_id(repository)
    found = locate(weights)
    if not isinstance(found, Path):
        raise WeightsError(f"{weights} has not finished training; finish it with 'genkit train ... --resume' first")
    names = [*_of_recipe(found.parent), *datasets]
    card = hub_card(_text(found), described(loaded(found)), repository, licence, names)
    click.echo(f"{weights} is at {push(found, card, repository, private=private)}")


def _text(folder: Path) -> str:
    """README.md of the weights, or of the run that they are of."""
    from genkit.core.location import RECIPE

    beside = [folder.parent] if (folder.parent / RECIPE).is_file() else []
    found = next((path for path in (place / "README.md" for place in (folder, *beside)) if path.is_file()), None)
    return found.read_text(encoding="utf-8", errors="replace") if found else ""


def _of_recipe(run: Path) -> list[str]:
    """The hub's names of the data of a run; none that it does not know."""
    from genkit.core.documents import Unreadable, read_yaml
    from genkit.core.location import RECIPE

    try:
        recipe = read_yaml(run / RECIPE) if (run / RECIPE).is_file() else None
    except Unreadable:
        return []
    data = recipe.get("data") if isinstance(recipe, dict) else None
    kind = data.get("type") if isinstance(data, dict) else None
    return [HUB_NAMES[kind]] if kind in HUB_NAMES else []
