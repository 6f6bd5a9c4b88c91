"""Where person masks come from: torchvision's Mask R-CNN, the small one of ours, a selfie segmenter, or a folder."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
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
SHIPPED = Path(__file__).with_name("small_maskrcnn.safetensors")  # `small.WEIGHTS`, without importing torch
METHOD = 1  # part of every cached mask's key: count up when the code here finds other masks with the same weights


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


def open_masks(choice: str, weights: Path | None = None, *, fast: bool = True, cache: Path | None = None) -> MaskSource:
    """The mask source of that name.

    Args:
        choice: "maskrcnn" (torchvision's, trained on COCO), "small" (ours, trained on the twin), "selfie" (MediaPipe's
            segmenter: one person near the camera), or a folder.
        weights: for "maskrcnn" or "small" a state dictionary, safetensors or what `torch.save` wrote of one; without
            it "maskrcnn" downloads torchvision's, once. For "selfie" the model's file, or the package it comes in.
        fast: on a CPU, "maskrcnn" looks at 320 px for people only, and either network in bfloat16 where the processor
            multiplies it; False: torchvision's own settings, in float32: seven times slower on one core.
        cache: a folder that keeps the masks (see `mask_cache`); with all of them there, torch is not even imported.
            A folder of masks is read as it is, never kept again.

    Raises:
        MaskError: no such source, weights that cannot be downloaded or do not fit. With a cache, weights are opened
            only when a mask has to be made, and are refused then.
    """
    if choice not in ("maskrcnn", "small", "selfie"):
        if weights is not None:
            raise MaskError(f"--weights goes with --masks maskrcnn, small or selfie, not with the masks of {choice}")
        return FolderMasks(Path(choice))
    made = _describe(choice, weights, fast)
    if cache is None:
        return made.open()
    from .mask_cache import CachedMasks

    return CachedMasks(made.name, made.identity, made.open, cache)


@dataclass(frozen=True)
class _Made:
    """A source that computes masks, before it is opened.

    Attributes:
        name: its own.
        identity: all that decides its masks, but for the image: source, weights, settings. A GPU, which always works
            at torchvision's sizes, is not in it: what it made serves a CPU.
        open: opens it.
    """

    name: str
    identity: str
    open: Callable[[], MaskSource]


def _describe(choice: str, weights: Path | None, fast: bool) -> _Made:
    if choice == "selfie":
        from .selfie import SelfieMasks, find_model

        model = find_model(weights)
        name, digest, opener = "selfie", hashlib.sha256(model).hexdigest(), partial(SelfieMasks, model)
    elif choice == "small":
        name = "small" if weights is None else f"small {weights.name}"
        file = SHIPPED if weights is None else weights
        digest, opener = _hash_file(file), partial(_open_small, name, file, fast)
    else:
        name, digest = "maskrcnn", "COCO_V1" if weights is None else _hash_file(weights)
        opener = partial(_open_maskrcnn, name, weights, fast)
    settings = {"source": choice, "weights": digest, "fast": fast, "method": METHOD}
    return _Made(name, json.dumps(settings), opener)


def _hash_file(path: Path) -> str:
    if not path.is_file():
        raise MaskError(f"{path}: no such file of weights")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_small(name: str, weights: Path, fast: bool) -> "NetworkMasks":
    from .maskrcnn import load_small

    return NetworkMasks(name, load_small(weights, fast), fast)


def _open_maskrcnn(name: str, weights: Path | None, fast: bool) -> "NetworkMasks":
    from .maskrcnn import load_maskrcnn

    return NetworkMasks(name, load_maskrcnn(weights, fast), fast)


class FolderMasks:
    """Masks drawn elsewhere: one PNG per image, `000000.png` for the first image asked for, then `000001.png`.

    A pixel above 127 is a person's. Each must have its image's size, and there must be no more of them than images:
    masks of other frames would fit no better than noise, and nothing else would tell.

    Raises:
        MaskError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise MaskError(
                f"--masks {folder}: choose maskrcnn, small, selfie, or a folder of masks; there is no such folder"
            )
        self.name = f"folder {folder.name}"
        self._folder = folder

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        count, empty, full = 0, 0, 0
        for number, image in enumerate(images):
            mask = self._read(number, image.shape[:2])
            count, empty, full = number + 1, empty + (not mask.any()), full + bool(mask.all())
            yield mask
        if extra := sorted(self._folder.glob("[0-9]" * 6 + ".png"))[count:]:
            raise MaskError(
                f"{self._folder}: {len(extra)} masks more than the {count} images, from {extra[0].name} on; these are "
                "masks of other frames: export the frames again, with the same --frames"
            )
        if count and empty == count:
            raise MaskError(f"{self._folder}: nobody in any of {count} masks; a person's pixels must be above 127")
        if count and full == count:
            raise MaskError(f"{self._folder}: all of {count} masks are a person all over; the room must be black")

    def _read(self, number: int, shape: tuple[int, int]) -> np.ndarray:
        path = self._folder / f"{number:06d}.png"
        if not path.is_file():
            raise MaskError(f"{path}: no such mask; the folder needs one PNG per image, 000000.png onwards")
        mask = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise MaskError(f"{path}: not a picture; write it again")
        if mask.shape != shape:
            raise MaskError(
                f"{path}: {mask.shape[1]}x{mask.shape[0]}, its image is {shape[1]}x{shape[0]}; "
                "write masks of the image's size"
            )
        return (mask > 127).astype(np.float32)


class NetworkMasks:
    """Masks by a torchvision `MaskRCNN`, an image at a time: on a GPU where torch sees one, else on the CPU.

    Args:
        name: the source's.
        network: with person as label 1.
        fast: bfloat16 on a CPU that multiplies it: half the time (`python -m bench masks`).
    """

    def __init__(self, name: str, network: "MaskRCNN", fast: bool = True) -> None:
        import torch

        self.name = name
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._half = fast and self._device == "cpu" and _multiplies_bfloat16()
        # Channels last gains only together with bfloat16, and there a third.
        order = torch.channels_last if self._half else torch.contiguous_format
        self._network = network.eval().to(self._device).to(memory_format=order)

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        import torch

        for image in images:
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._half):
                tensor = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1).float() / 255
                found = self._network([tensor])[0]
                mask = _unite(found, image.shape[:2])
            yield mask  # outside: whoever takes the mask must not compute in our precision


def _unite(found: "dict[str, Tensor]", shape: tuple[int, int]) -> np.ndarray:
    """(H, W) float32: the most that any person found claims of each pixel."""
    people = (found["labels"] == PERSON) & (found["scores"] >= LEAST_SCORE)
    masks = found["masks"][people, 0]
    if len(masks) == 0:
        return np.zeros(shape, dtype=np.float32)
    return masks.float().amax(dim=0).clamp(0, 1).cpu().numpy()


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; without them bfloat16 is emulated, and slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
