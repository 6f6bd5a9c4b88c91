"""The inversion encoder I: an image's non-thermal code, z~ (paper, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .layers import BATCH_NORM_EPS, DownBlock, Linear, batch_norm, leaky


class CodeNorm(nn.BatchNorm1d):
    """Batch normalisation of the code, which averages the variance of its batches as it is.

    So Keras does for vectors. torch averages N / (N - 1) times it, as both do for maps.
    """

    def forward(self, codes: Tensor) -> Tensor:  # type: ignore[override]  (N, z) -> (N, z)
        if not self.training:
            return super().forward(codes)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        with torch.no_grad():
            var, mean = torch.var_mean(codes.to(self.running_mean.dtype), dim=0, correction=0)  # autocast's are short
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var, self.momentum)
        return F.batch_norm(codes, None, None, self.weight, self.bias, training=True, eps=self.eps)


class NoCode(nn.Module):
    """I of a regression: an image tells its generator nothing. It has no weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.z = config.z

    def forward(self, images: Tensor) -> Tensor:  # (N, 3, 8h, 8w) -> (N, z), zeros
        return images.new_zeros(len(images), self.z)


class InversionEncoder(nn.Module):
    """Four down-blocks with batch normalisation, then z~ normalised like the noise it stands in for."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        e, momentum = config.inversion_width, config.batch_norm_momentum
        rows, columns = (side // 2 for side in config.heatmap_shape)  # 40 x 64 ends as 2 x 4: an odd row is dropped
        self.down1 = DownBlock(3, e, first=True, momentum=momentum)
        self.down2 = DownBlock(e, 2 * e, momentum=momentum)
        self.down3 = DownBlock(2 * e, 4 * e, momentum=momentum)
        self.down4 = DownBlock(4 * e, 8 * e, momentum=momentum)
        self.norm = batch_norm(8 * e, momentum)
        self.to_z = Linear(rows * columns * 8 * e, config.z, bias=False)
        self.norm_z = CodeNorm(config.z, eps=BATCH_NORM_EPS, momentum=momentum)

    def forward(self, images: Tensor) -> Tensor:
        """The code z~ of each image.

        Args:
            images: (N, 3, 8h, 8w) float32 in [-1, 1], RGB.

        Returns:
            (N, z) float32, about standard normal.
        """
        x = self.down4(self.down3(self.down2(self.down1(images))))  # (N, 8e, h // 2, w // 2)
        flat = leaky(self.norm(x)).permute(0, 2, 3, 1).flatten(1)
        return self.norm_z(self.to_z(flat))
