from __future__ import annotations

import pytest
import torch.distributed as dist

from genkit.training.peers import ProcessLost, among_peers

GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:46721"


@pytest.mark.parametrize("error", [RuntimeError(GLOO), dist.DistBackendError("NCCL"), dist.DistNetworkError("store")])
@pytest.mark.parametrize(("count", "who"), [(2, "process 1 of 2"), (4, "another of the 4 processes")])
def test_failures_of_communication_say_who_was_lost(error: RuntimeError, count: int, who: str) -> None:
    with pytest.raises(ProcessLost, match=f"^{who} was lost; .*--resume$") as lost, among_peers(0, count):
        raise error
    assert lost.value.exit_code == 3 and lost.value.__cause__ is error


def test_other_errors_and_single_processes_keep_theirs() -> None:
    with pytest.raises(RuntimeError, match="shapes"), among_peers(0, 2):
        raise RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError, match="gloo"), among_peers(0, 1):
        raise RuntimeError(GLOO)
