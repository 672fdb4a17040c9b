"""Two machines of two processes each, played on loopback addresses, train as one process does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from genkit.cli.launch import _asked_for
from genkit.core.errors import GenkitError
from genkit.training import train
from tests.training.test_processes import RECIPES, ROOT, apart, losses

GENKIT = ["-m", "genkit", "train"]


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def with_accelerate(machine: int, port: str) -> list[str]:
    words = ["accelerate.commands.launch", "--cpu", "--num_machines", "2", "--machine_rank", str(machine)]
    words += ["--num_processes", "4", "--main_process_ip", "127.0.0.1", "--main_process_port", port]
    return [*words, "--mixed_precision", "no", "--dynamo_backend", "no"]


def with_torchrun(machine: int, port: str) -> list[str]:
    words = ["torch.distributed.run", "--nnodes", "2", "--node-rank", str(machine), "--nproc-per-node", "2"]
    return [*words, "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [with_accelerate, with_torchrun])
def test_two_machines_have_the_losses_of_one_process(launcher: object, tmp_path: Path) -> None:
    recipe, out, port = tmp_path / "tiny.yaml", tmp_path / "run", free_port()
    recipe.write_text(yaml.safe_dump(RECIPES["plain"].to_dict()))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    machines = []
    for machine in range(2):
        words = [sys.executable, "-m", *launcher(machine, port), *GENKIT, str(recipe), "--out", str(out)]  # type: ignore[operator]
        machines.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        told = [machine.communicate(timeout=280)[0].decode() for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], told
    assert "".join(told).count("finished tiny") == 1, "only the first process speaks"
    assert json.loads((out / "environment.json").read_text())["processes"] == 4
    one = train(RECIPES["plain"], tmp_path / "one")
    assert apart(losses(one), losses(out)) <= 1e-5


def test_processes_are_shared_out_over_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.cli import launch

    for name in ("WORLD_SIZE", "MASTER_PORT", "MASTER_ADDR", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    words = ["accelerate", "launch", "--cpu", "--num-processes=6", "--num_machines", "2", "--machine_rank", "1"]
    monkeypatch.setattr(launch, "_words_of_parent", lambda: words)
    assert _asked_for() is None
    for name, value in (("ACCELERATE_USE_CPU", "True"), ("MASTER_PORT", "29500"), ("MASTER_ADDR", "10.0.0.1")):
        monkeypatch.setenv(name, value)
    assert _asked_for() == launch.Launch(3, 6, 3, "10.0.0.1", 29500)
    words[4:5] = ["--num_machines=4"]
    del words[5]
    with pytest.raises(GenkitError, match="--num_processes 6 counts those of all 4 machines"):
        _asked_for()
    del words[4]
    assert _asked_for() == launch.Launch(6, 6)
    monkeypatch.setenv("WORLD_SIZE", "6")
    assert _asked_for() is None
