"""Where person masks come from: torchvision's Mask R-CNN, the small one of ours, or a folder of pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from .. import LrtError

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.models.detection import MaskRCNN

PERSON = 1  # in COCO's labels and in the small network's
LEAST_SCORE = 0.5
MOST_PEOPLE = 10  # per image; a hundred detections make the mask head cost more than all else
SHORT_SIDE = 320  # px: 0.4 s an image on two cores against 2.7 s at torchvision's 800


class MaskError(LrtError, ValueError):
    """Masks that cannot be had: weights or pictures missing, or not what they should be."""


class MaskSource(Protocol):
    """Something that finds the people in images."""

    name: str

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The union of the people in each image, in order.

        Args:
            images: (H, W, 3) uint8, RGB, any size.

        Yields:
            (H, W) float32, 0..1.

        Raises:
            MaskError: the source has no mask for an image.
        """
        ...


def open_masks(choice: str, weights: Path | None = None) -> MaskSource:
    """The mask source of that name.

    Args:
        choice: "maskrcnn" (torchvision's, trained on COCO), "small" (ours, trained on the twin), or a folder.
        weights: a state dictionary for "maskrcnn" or "small", safetensors or what `torch.save` wrote of one; without
            it "maskrcnn" downloads torchvision's, once.

    Raises:
        MaskError: no such source, weights that cannot be downloaded or do not fit.
    """
    if choice == "maskrcnn":
        return NetworkMasks("maskrcnn", _load_maskrcnn(weights))
    if choice == "small":
        return NetworkMasks("small" if weights is None else f"small {weights.name}", _load_small(weights))
    folder = Path(choice)
    if weights is not None:
        raise MaskError(f"--weights goes with --masks maskrcnn or small, not with the masks of {folder}")
    if not folder.is_dir():
        raise MaskError(f"--masks {choice}: choose maskrcnn, small, or a folder of masks; there is no such folder")
    return FolderMasks(folder)


class FolderMasks:
    """Masks drawn elsewhere: one PNG per image, `000000.png` for the first image asked for, then `000001.png`.

    A pixel above 127 is a person's. Each must have its image's size.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"folder {folder.name}"
        self._folder = folder

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for number, image in enumerate(images):
            path = self._folder / f"{number:06d}.png"
            if not path.is_file():
                raise MaskError(f"{path}: no such mask; the folder needs one PNG per image, 000000.png onwards")
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if mask is None:
                raise MaskError(f"{path}: not a picture; write it again")
            if mask.shape != image.shape[:2]:
                raise MaskError(
                    f"{path}: {mask.shape[1]}x{mask.shape[0]}, its image is {image.shape[1]}x{image.shape[0]}; "
                    "write masks of the image's size"
                )
            yield (mask > 127).astype(np.float32)


class NetworkMasks:
    """Masks by a torchvision `MaskRCNN`, an image at a time."""

    def __init__(self, name: str, network: "MaskRCNN") -> None:
        import torch

        self.name = name
        # bfloat16 with channels last took a third of the time where the processor multiplies it, and more elsewhere.
        self._half = _multiplies_bfloat16()
        self._network = network.eval().to(memory_format=torch.channels_last)

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        import torch

        for image in images:
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._half):
                tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
                found = self._network([tensor])[0]
                yield _unite(found, image.shape[:2])


def _unite(found: "dict[str, Tensor]", shape: tuple[int, int]) -> np.ndarray:
    """(H, W) float32: the most that any person found claims of each pixel."""
    people = (found["labels"] == PERSON) & (found["scores"] >= LEAST_SCORE)
    masks = found["masks"][people, 0]
    if len(masks) == 0:
        return np.zeros(shape, dtype=np.float32)
    return masks.float().amax(dim=0).clamp(0, 1).numpy()


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; without them bfloat16 is emulated, and slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _load_maskrcnn(weights: Path | None) -> "MaskRCNN":
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

    options = {"min_size": SHORT_SIDE, "max_size": 2 * SHORT_SIDE, "box_detections_per_img": MOST_PEOPLE}
    if weights is None:
        try:
            return maskrcnn_resnet50_fpn(weights=MaskRCNN_ResNet50_FPN_Weights.COCO_V1, progress=False, **options)
        except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
            raise MaskError(
                f"the weights of Mask R-CNN could not be downloaded ({error}); "
                "give them with --weights FILE, or use --masks small"
            ) from error
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)
    _load_state(network, weights)
    return network


def _load_small(weights: Path | None) -> "MaskRCNN":
    from .small import WEIGHTS, build_small_maskrcnn

    network = build_small_maskrcnn()
    _load_state(network, WEIGHTS if weights is None else weights)
    return network


def _load_state(network: "MaskRCNN", weights: Path) -> None:
    """Load a state dictionary, without ever unpickling objects.

    Raises:
        MaskError: no such file, not a state dictionary, or one of another network.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not weights.is_file():
        raise MaskError(f"{weights}: no such file of weights")
    try:
        is_tensors = weights.suffix == ".safetensors"
        state = load_file(weights) if is_tensors else torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(state)  # copies into float32 whatever the file holds
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MaskError(f"{weights}: not weights of this network ({reason})") from error
