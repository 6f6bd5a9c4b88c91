"""A small Mask R-CNN for person masks: torchvision's own, on a light backbone.

Same class, same outputs and same post-processing as `maskrcnn_resnet50_fpn`, at a twentieth of its weights, so that
masks can be had offline. Its weights (`small_maskrcnn.safetensors`, float16) were trained on pictures of the rig's
twin and know nothing else; `bench/train_small_masks.py` made them.
"""

from pathlib import Path

from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

WEIGHTS = Path(__file__).with_name("small_maskrcnn.safetensors")
SHORT_SIDE = 192  # px of the network's input: a person at 4 m is still 100 px tall in a 16:9 picture
LONG_SIDE = 352
WIDTHS = (32, 64, 96, 128)  # channels at strides 4, 8, 16 and 32
CHANNELS = 64  # of every pyramid level
# Anchors, px of the network's input: people between 0.9 and 4 m are large and upright.
ANCHOR_SIZES = ((24, 34), (48, 62), (80, 104), (130, 165))
ANCHOR_RATIOS = (0.9, 1.6, 2.8)  # height / width


def _convolve(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    """x + f(x), two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolve(channels, channels), _convolve(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Backbone(nn.Module):
    """Five halvings, then a feature pyramid over the last four (Lin et al. 2017)."""

    out_channels = CHANNELS  # where torchvision looks for it

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolve(3, 16, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(_convolve(before, after, 2), _Residual(after))
            for before, after in zip((16, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.pyramid = FeaturePyramidNetwork(list(WIDTHS), CHANNELS)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        levels = {}
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            levels[str(number)] = x
        return self.pyramid(levels)


def build_small_maskrcnn() -> MaskRCNN:
    """A torchvision `MaskRCNN` of 2 classes (background, person) and about 2 million parameters, untrained.

    Input: list of (3, H, W) float32 tensors, 0..1, RGB, any size. Output in eval mode: per image a dictionary of
    `boxes` (n, 4), `labels` (n,), `scores` (n,) and `masks` (n, 1, H, W) 0..1 (He et al. 2017).
    """
    anchors = AnchorGenerator(ANCHOR_SIZES, (ANCHOR_RATIOS,) * len(ANCHOR_SIZES))
    box_cells = 5
    return MaskRCNN(
        _Backbone(),
        min_size=SHORT_SIDE,
        max_size=LONG_SIDE,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(CHANNELS, anchors.num_anchors_per_location()[0]),
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=60,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=20,
        rpn_batch_size_per_image=64,
        box_roi_pool=MultiScaleRoIAlign(["1", "2", "3"], box_cells, 2),
        box_head=TwoMLPHead(CHANNELS * box_cells**2, 128),
        box_predictor=FastRCNNPredictor(128, num_classes=2),
        box_batch_size_per_image=16,
        box_detections_per_img=5,
        # Masks are cut from the finest level whatever the person's size: their outline is what calibration uses.
        mask_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        mask_head=MaskRCNNHeads(CHANNELS, (CHANNELS,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(CHANNELS, CHANNELS, num_classes=2),
    )
