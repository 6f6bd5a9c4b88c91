"""Picture files, as the stages read and write them."""

from pathlib import Path

import cv2
import numpy as np

from .. import write_whole
from .results import StageError


def read_image(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8, RGB.

    Raises:
        StageError: missing, or not a picture.
    """
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise StageError(f"{path}: cannot be read ({error.strerror})") from error
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if decoded is None:
        raise StageError(f"{path}: not a picture; give a PNG or JPEG file")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB as PNG, whole."""
    encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
    write_whole(path, encoded.tobytes())
