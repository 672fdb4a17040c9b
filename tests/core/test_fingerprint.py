from __future__ import annotations

import torch

from genkit.core.fingerprint import fingerprint


def test_equal_data_equal_fingerprint_and_nothing_else() -> None:
    x, y = torch.arange(12, dtype=torch.uint8).view(3, 1, 2, 2), torch.arange(3)
    same = torch.stack([x, x])[1]
    assert fingerprint(x) == fingerprint(same) and fingerprint(x, y) == fingerprint(same, y.clone())
    others = [x + 1, x.flip(0), x.view(3, 1, 4, 1), x.to(torch.int8)]
    assert len({fingerprint(x), fingerprint(x, y), fingerprint(x, y + 1), *map(fingerprint, others)}) == 7
