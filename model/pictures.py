"""Sheets of pictures and heat."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .. import write_whole
from .mark import COMPOSITE, encode_png

MARGIN = 4  # pixels between pictures
LABEL_WIDTH = 150
INK, PAPER, CURVE, MARK = (40, 40, 40), (255, 255, 255), (40, 90, 170), (200, 60, 40)


def paint_heat(heatmaps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Heat as pictures, cold dark and warm bright.

    Args:
        heatmaps: (N, h, w) float32 in [-1, 1].
        shape: rows and columns to fill; every thermal pixel becomes a flat patch.

    Returns:
        (N, rows, columns, 3) uint8, RGB.
    """
    rows, columns = shape
    grey = np.clip((heatmaps + 1) * 127.5, 0, 255).round().astype(np.uint8)
    painted = [
        cv2.applyColorMap(cv2.resize(one, (columns, rows), interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_INFERNO)
        for one in grey
    ]
    return np.stack(painted)[..., ::-1]  # OpenCV's BGR ends here


def sheet(rows: Sequence[tuple[str, np.ndarray]], scale: int = 2) -> np.ndarray:
    """Rows of pictures with a name before each.

    Args:
        rows: name and (n, H, W, 3) uint8 RGB each; the same n, H, W.
        scale: every pixel becomes scale x scale.

    Returns:
        (rows, columns, 3) uint8, RGB.
    """
    n, height, width = rows[0][1].shape[:3]
    step_y, step_x = height * scale + MARGIN, width * scale + MARGIN
    page = np.full((len(rows) * step_y + MARGIN, LABEL_WIDTH + n * step_x + MARGIN, 3), PAPER, np.uint8)
    for row, (name, pictures) in enumerate(rows):
        y = MARGIN + row * step_y
        write_text(page, name, (MARGIN + 2, y + height * scale // 2 + 5))
        for column, picture in enumerate(pictures):
            x = LABEL_WIDTH + MARGIN + column * step_x
            page[y : y + height * scale, x : x + width * scale] = enlarge(picture, scale)
    return page


def enlarge(picture: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (scale H, scale W, 3), pixels kept square and sharp."""
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def write_text(
    page: np.ndarray, text: str, at: tuple[int, int], ink: tuple[int, int, int] = INK, size: float = 0.45
) -> None:
    """Draw a line of text into (H, W, 3) uint8; `at` is x, y of its lower left corner."""
    cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)


def label(picture: np.ndarray, text: str) -> np.ndarray:
    """(H, W, 3) uint8 with a word in its lower left corner, light on dark, so that it is read on any picture.

    The word takes a twelfth of the picture's height, and its ground no more than the word needs.
    """
    height = picture.shape[0]
    size = max(height / 12, 10) / 22  # OpenCV's letters are about 22 px high at 1
    (width, tall), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    labelled = picture.copy()
    labelled[max(height - tall - below - 6, 0) :, : width + 10] //= 4
    write_text(labelled, text, (5, height - below - 3), PAPER, size)
    return labelled


def stack(pages: Sequence[np.ndarray]) -> np.ndarray:
    """Pages (H, W, 3) uint8 below one another, filled up with paper to the widest."""
    width = max(page.shape[1] for page in pages)
    wide = []
    for page in pages:
        filled = np.full((page.shape[0], width, 3), PAPER, np.uint8)
        filled[:, : page.shape[1]] = page
        wide.append(filled)
    return np.concatenate(wide)


def draw_curve(values: np.ndarray, marked: int, title: str, width: int, height: int = 150) -> np.ndarray:
    """A curve over its index, from 0 up, with one place marked.

    Args:
        values: (n,) float, 0 or more.
        marked: the index that gets a vertical line.
        title: written above.
        width, height: of the picture, pixels.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    page = np.full((height, width, 3), PAPER, np.uint8)
    left, right, top, bottom = LABEL_WIDTH, width - 2 * MARGIN, 32, height - 14
    highest = max(float(values.max()) * 1.1, 1e-6)
    x = left + (right - left) * (np.arange(len(values)) + 0.5) / len(values)
    y = bottom - (bottom - top) * values / highest
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.line(page, (left, bottom), (right, bottom), INK)
    cv2.line(page, (left, top), (left, bottom), INK)
    cv2.line(page, (int(points[marked, 0]), top), (int(points[marked, 0]), bottom), MARK, 2)
    cv2.polylines(page, [points], isClosed=False, color=CURVE, thickness=2, lineType=cv2.LINE_AA)
    write_text(page, title, (left, 20))
    write_text(page, f"{highest:.3f}", (left - 50, top + 6), size=0.4)
    write_text(page, "0", (left - 18, bottom + 4), size=0.4)
    write_text(page, "source", (min(int(points[marked, 0]) + 5, right - 50), top + 10), MARK, 0.4)
    return page


def write_png(path: Path, picture: np.ndarray, description: str, kind: str = COMPOSITE) -> None:
    """Write a PNG that says what it is.

    Args:
        picture: (H, W, 3) uint8, RGB.
        description, kind: as `mark.encode_png` has them; a sheet holds drawn and real pictures.
    """
    write_whole(path, encode_png(picture, description, kind))
