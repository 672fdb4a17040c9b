"""Every command and snippet of the README runs, in order, in one empty folder.

What a reader must bring is made here: a zip of photographs and the authors' checkpoint.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from genkit.core.catalog import build
from genkit.foreign import from_flags
from genkit.images import pixels as images
from tests.diffusion.authors import adm
from tests.rules.markdown import ROOT, Block, blocks
from tests.shared import SHARED

LINE = r"[^#\n]*[^#\s]"
"""The rest of a command, without the comment after it."""
SMALLER = (
    (rf"genkit train {LINE}", r"\g<0> train.steps=2 train.batch_size=8 every.checkpoint=1 every.log=1"),
    (rf"genkit train (digits|recipes/digits){LINE}", r"\g<0> evaluate.n=60"),
    (rf"genkit train guided{LINE}", r"\g<0> stages.classifier.evaluate.n=60"),
    (rf"genkit train guided{LINE}", r"\g<0> stages.ddpm.system.generator.solver.steps=4"),
    (rf"genkit evaluate (?=.*--metrics outliers){LINE}", r"\g<0> --steps 4"),
    (rf"genkit sample fashion-mnist-ddpm (?!.*--steps){LINE}", r"\g<0> --steps 4"),
    (rf"genkit directions {LINE}", r"\g<0> -k 8 --steps 4 --score-steps 4"),
    (r"-n \d\d+", "-n 12"),
    (r"--steps 50", "--steps 4"),
    (r"--samples \d+", "--samples 20"),
    (r"train\.steps=\d\d+", "train.steps=2"),
    (r"\bn=\d{4,}", "n=60"),
    (r"--train fashion_mnist/train", "--train fashion_mnist/test"),
)
"""Text of the README -> its replacement, so that running it takes two minutes. Nothing else is changed."""
LEFT_OUT = {
    "pip install .": "these tests run where genkit is installed",
    "make test": "runs these tests",
    "genkit push runs/digits ada/digits --license mit --private": "tests/cli/test_hub.py, without the hub",
    "genkit pull ada/digits --out pulled": "tests/cli/test_hub.py, without the hub",
    "genkit ui": "goes on until it is stopped; tests/cli/web opens the page in a browser",
}
STAND_IN = {"make demo": "genkit train recipes/digits/wgan_ratio_clipping.yaml --out runs/demo --resume"}
"""`make demo` without its virtual environment."""
DATA = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
"""Sets that are not shipped, as a command names them -> their folder in GENKIT_DATA."""
TIMEOUT_S = 300

BLOCKS = [block for block in blocks(ROOT / "README.md") if block.language]
ADM64 = next(block for block in blocks(ROOT / "docs" / "systems" / "ddpm.md") if block.text.startswith("# flags.yaml"))
TINY = {"num_channels": 32, "num_res_blocks": 1, "num_head_channels": 32, "channel_mult": "1,1", "num_classes": 10}
TINY |= {"attention_resolutions": 32}
"""Instead of 296 million parameters."""


def smaller(text: str) -> str:
    for pattern, replacement in SMALLER:
        text = re.sub(pattern, replacement, text)
    return text


class Reader:
    """Someone who does what the README says, block after block, in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.told: list[tuple[str, str]] = []
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {"GENKIT_DATA": str(SHARED / "data"), "OMP_NUM_THREADS": "1", **os.environ}
        self.environment |= {"PATH": path, "PYTHONPATH": str(ROOT), "GENKIT_CACHE": str(folder / "cache")}

    def read(self, number: int) -> tuple[str, str]:
        """Errors in block `number`, and the parts that could not be run; empty if none."""
        while len(self.told) <= number:
            block = BLOCKS[len(self.told)]
            self.told.append({"sh": self._shell, "python": self._python, "yaml": self._file}[block.language](block))
        return self.told[number]

    def _shell(self, block: Block) -> tuple[str, str]:
        absent = ""
        for line in block.commands():
            command = line.partition(" #")[0].strip()
            if command in LEFT_OUT:
                continue
            if missing := self._missing(command):
                absent += f"{command}: {missing} is absent; set GENKIT_SHARED or GENKIT_DATA. "
            elif failure := self._run(["bash", "-c", smaller(STAND_IN.get(command, line))]) or self._not_made(command):
                return failure, absent
        return "", absent

    def _python(self, block: Block) -> tuple[str, str]:
        return self._run([sys.executable, "-c", smaller(block.text)]), ""

    def _file(self, block: Block) -> tuple[str, str]:
        (self.folder / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text, encoding="utf-8")
        return "", ""

    def _run(self, arguments: list[str]) -> str:
        """Output of the command if it failed. Each snippet runs on its own: a name that it leaves undefined fails."""
        done = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        if done.returncode == 0 and "Traceback (most recent call last)" not in done.stdout:
            return ""
        return f"{arguments[-1]}\nends with {done.returncode} and says\n{done.stdout[-4000:]}"

    def _missing(self, command: str) -> str:
        files = [
            path.read_text()
            for word in command.split()
            if (path := self.folder / word).suffix == ".yaml" and path.is_file()
        ]
        named = re.findall(rf"(?<![\w-])({'|'.join(DATA)})/\w+", "\n".join([command, *files]))
        folders = [Path(self.environment["GENKIT_DATA"]) / DATA[name] for name in named]
        return next((str(folder) for folder in folders if not folder.is_dir()), "")

    def _not_made(self, command: str) -> str:
        promised = re.findall(r"--(?:out|json) (\S+)", command)
        return "".join(f"{command}\nmade no {path}" for path in promised if not (self.folder / path).exists())


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    write_photos(folder / "photos.zip")
    write_checkpoint(folder / "64x64_diffusion.pt", folder / "flags.yaml")
    yield Reader(folder)


def write_photos(path: Path) -> None:
    """60 real digits as colour images, larger than they are trained at and not square, in class folders."""
    digits = build({"type": "digits"}, kind="data")
    rows = torch.arange(0, len(digits), len(digits) // 60)[:60]
    large = images.resize(images.to_uint8(digits.rows(rows)), 80).expand(-1, 3, -1, -1)
    with zipfile.ZipFile(path, "w") as archive:
        for i, (pixels, label) in enumerate(zip(large, digits.condition(rows)["label"].tolist(), strict=True)):
            archive.writestr(f"photos/{label}/{i:03}.png", images.png_bytes(pixels[:, :, 4:-4]))


def write_checkpoint(checkpoint: Path, settings: Path) -> None:
    """The authors' network with the flags that docs/systems/ddpm.md gives for this file, made narrow."""
    flags = yaml.safe_load(ADM64.text) | TINY
    config = from_flags("guided-diffusion/unet", flags)
    weights = adm.Weights()
    adm.unet(weights, config, torch.zeros(1, 3, 64, 64), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    torch.save(dict(weights), checkpoint)
    settings.write_text(yaml.safe_dump(flags), encoding="utf-8")


def test_snippets_of_python_are_among_them() -> None:
    assert sum(block.language == "python" for block in BLOCKS) >= 2
    for block in blocks(ROOT / "README.md"):
        assert block.language or not re.search(r"^(from|import) ", block.text, re.MULTILINE), block.text


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[f"{b.heading}, {b.language}" for b in BLOCKS])
def test_block_runs(number: int, reader: Reader) -> None:
    failure, absent = reader.read(number)
    assert not failure, failure
    if absent:
        pytest.skip(f"all the rest of the block ran. {absent}")


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(reader: Reader) -> None:
    launch = next(i for i, block in enumerate(BLOCKS) if "accelerate launch" in block.text)
    reader.read(launch)
    one, two = (losses(reader.folder / "runs" / name) for name in ("digits", "digits-wgan-ratio-clipping"))
    assert one and one == pytest.approx(two, rel=1e-4)


def losses(run: Path) -> dict[str, float]:
    """The first line of the log."""
    row = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    return {name: value for name, value in row.items() if name.endswith("loss")}
