"""A light segmenter for one person near the camera: MediaPipe's selfie segmentation, run by OpenCV alone.

It needs neither torch nor a GPU: 250 kB of weights, some 15 ms an image. It was made for video calls: it looks for a
person who fills much of the picture and says which pixels are theirs, all people together, and misses who is far away
(on the twin's people, 0.9 to 4 m away: half of the masks above 0.84 of IoU, 2 of 31 people not seen). The paper used
Mask R-CNN, not this.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from .masks import MaskError

SIDE = 256  # px of the network's input
# The general model (square), as it comes in two packages: the same network, other remarks in the file.
KNOWN = {
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c": "mediapipe 0.10.21, from PyPI",
    "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27": "@mediapipe/selfie_segmentation 0.1, from npm",
}
MEMBER = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"  # of the wheel
FETCH = (
    "pip download mediapipe==0.10.21 --no-deps --only-binary=:all: --python-version 3.11 "
    "--platform manylinux_2_28_x86_64"
)  # on any machine: the wheel is only a box of files to us


def find_model(file: Path | None) -> bytes:
    """The model's bytes, known to be those of MediaPipe.

    Args:
        file: selfie_segmentation.tflite, or the wheel it comes in.

    Raises:
        MaskError: none given, no such file, no model in it, or another than the known ones.
    """
    if file is None:
        raise MaskError(
            "--masks selfie needs the model: --weights FILE, selfie_segmentation.tflite or the wheel it comes in "
            f"(35 MB, Apache-2.0), which this fetches: {FETCH}"
        )
    if not file.is_file():
        raise MaskError(f"{file}: no such file of weights")
    if zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as wheel:
                content = wheel.read(MEMBER)
        except (KeyError, zipfile.BadZipFile) as error:
            raise MaskError(f"{file}: no {MEMBER} in it; fetch the right one: {FETCH}") from error
    else:
        content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found not in KNOWN:
        raise MaskError(
            f"{file}: not a selfie segmenter that lrt knows (SHA-256 {found[:12]}...); known: "
            + ", ".join(f"{digest[:12]}... ({origin})" for digest, origin in KNOWN.items())
        )
    return content


class SelfieMasks:
    """Masks by MediaPipe's selfie segmenter.

    Args:
        model: from `find_model`.

    Raises:
        MaskError: this OpenCV cannot run it.
    """

    def __init__(self, model: bytes) -> None:
        self.name = "selfie"
        try:
            self._network = cv2.dnn.readNetFromTFLite(np.frombuffer(model, np.uint8))
        except (cv2.error, AttributeError) as error:
            raise MaskError(f"OpenCV {cv2.__version__} cannot run the selfie segmenter; 4.10 and later can") from error

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            self._network.setInput(cv2.dnn.blobFromImage(image, 1 / 255, (SIDE, SIDE)))
            found = self._network.forward()[0, 0]  # (256, 256), a probability
            yield np.clip(cv2.resize(found, (image.shape[1], image.shape[0])), 0, 1)
