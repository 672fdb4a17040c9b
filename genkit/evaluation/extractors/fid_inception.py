"""The network of FID, KID and IS: torchvision's, with the blocks that pytorch-fid ported and clean-fid ships."""

from __future__ import annotations

import torch
from cleanfid.inception_pytorch import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import Inception3
from torchvision.models.inception import BasicConv2d


class FIDInception(Inception3):
    """(B, 3, 299, 299) in about [-1, 1] -> features (B, 2048) and logits (B, 1008). Submodules as in the weights."""

    def __init__(self) -> None:
        super().__init__(num_classes=1008, aux_logits=False, init_weights=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (FIDInceptionA(*c) for c in ((192, 32), (256, 64), (288, 64)))
        self.Mixed_6b, self.Mixed_6c = FIDInceptionC(768, 128), FIDInceptionC(768, 160)
        self.Mixed_6d, self.Mixed_6e = FIDInceptionC(768, 160), FIDInceptionC(768, 192)
        self.Mixed_7b, self.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(2048)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for name, part in self.named_children():
            if name.startswith(("Conv", "maxpool", "Mixed")):
                x = part(x)
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T

    def folded(self) -> FIDInception:
        """Self, with batch norm inside the convolutions and pixels' channels last: twice as fast on a CPU."""
        for part in list(self.modules()):
            if isinstance(part, BasicConv2d):
                part.conv, part.bn = fuse_conv_bn_eval(part.conv.eval(), part.bn.eval()), nn.Identity()  # type: ignore[assignment]
        return self.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
