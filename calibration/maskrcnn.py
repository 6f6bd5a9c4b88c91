"""torchvision's Mask R-CNN with its weights, set to find people only and to be quick on a CPU."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from .masks import LEAST_SCORE, PERSON, MaskError
from .small import build_small_maskrcnn

MOST_PEOPLE = 10  # per image; each costs the mask head as much as the first
SHORT_SIDE = 320  # px; torchvision's own is 800
LONG_SIDE = 2 * SHORT_SIDE


def load_maskrcnn(weights: Path | None, fast: bool) -> MaskRCNN:
    """torchvision's `maskrcnn_resnet50_fpn` for COCO's 91 labels.

    Args:
        weights: a state dictionary; None: torchvision's own, downloaded once.
        fast: people only, and 320 px on a CPU; False: torchvision's settings, whatever they cost.

    Raises:
        MaskError: weights that cannot be downloaded, or do not fit.
    """
    small_input = fast and not torch.cuda.is_available()
    options: dict[str, Any] = {"min_size": SHORT_SIDE, "max_size": LONG_SIDE} if small_input else {}
    if weights is None:
        try:
            network = maskrcnn_resnet50_fpn(weights=MaskRCNN_ResNet50_FPN_Weights.COCO_V1, progress=False, **options)
        except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
            raise MaskError(
                f"the weights of Mask R-CNN could not be downloaded ({error}); "
                "give them with --weights FILE, or use --masks small"
            ) from error
    else:
        network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)
        load_state(network, weights)
    return find_only_people(network) if fast else network


def load_small(weights: Path, fast: bool) -> MaskRCNN:
    """The small Mask R-CNN.

    Args:
        weights: a state dictionary.
        fast: boxes in float32 where the rest is in bfloat16.

    Raises:
        MaskError: weights that do not fit.
    """
    network = build_small_maskrcnn()
    load_state(network, weights)
    return find_only_people(network) if fast else network


def find_only_people(network: MaskRCNN) -> MaskRCNN:
    """The same network, which finds the same people with the same scores and masks, and nothing else.

    torchvision keeps the best detections of all labels together, so under a small cap ten good chairs and bottles
    push out a person; and it works on every label of every proposal. Here person stands against all the rest, and
    what scores less than a person must gets no mask.

    Args:
        network: with person as label 1; changed in place.
    """
    rpn: Any = network.rpn
    rpn.head = _Float32Head(rpn.head)
    heads: Any = network.roi_heads
    heads.box_predictor = _PersonPredictor(heads.box_predictor)
    heads.score_thresh = LEAST_SCORE
    heads.detections_per_img = MOST_PEOPLE
    return network


class _PersonPredictor(nn.Module):
    """Scores and boxes of two labels, rest and person, from those of all: softmax gives person what it gave before.

    Both come out in float32, see `_Float32Head`.
    """

    def __init__(self, all_labels: nn.Module) -> None:
        super().__init__()
        self.all_labels = all_labels

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = self.all_labels(features)  # (n, labels), (n, 4 labels)
        scores, boxes = scores.float(), boxes.float()
        rest = torch.cat([scores[:, :PERSON], scores[:, PERSON + 1 :]], dim=1).logsumexp(dim=1, keepdim=True)
        return torch.cat([rest, scores[:, PERSON : PERSON + 1]], dim=1), boxes[:, : 4 * (PERSON + 1)]


class _Float32Head(nn.Module):
    """The region proposals' head, whatever precision it worked in.

    From bfloat16 torchvision would make boxes in bfloat16, which knows only even pixels above 256: on the twin's people
    the small network's masks then agreed with float32's by 0.96 of IoU (worst 0.86), and so by 0.99 (worst 0.96).
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores, boxes = self.head(levels)
        return [level.float() for level in scores], [level.float() for level in boxes]


def load_state(network: MaskRCNN, weights: Path) -> None:
    """Load a state dictionary, without ever unpickling objects.

    Raises:
        MaskError: no such file, not a state dictionary, or one of another network.
    """
    if not weights.is_file():
        raise MaskError(f"{weights}: no such file of weights")
    try:
        is_tensors = weights.suffix == ".safetensors"
        state = load_file(weights) if is_tensors else torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(state)  # copies into float32 whatever the file holds
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MaskError(f"{weights}: not weights of this network ({reason})") from error
