"""Body zones of a person mask: what a person's warmth differs between.

A face is twice as warm as trousers. A fit that gives a whole person one temperature is drawn upwards by about 15 % of
a thermal pixel however many frames it has, so the mask is cut into zones and each gets a temperature of its own. The
cuts hang on the largest circle that the mask holds, the torso's, and so serve a waist-up view and a whole figure.
"""

import cv2
import numpy as np

ZONES = ("hair", "face", "torso", "arms", "legs")
FINE_COLUMNS = 320  # at most, of the picture that zones are cut in: a torso 3 m away is 20 wide
# Torso radii from chest to trousers. On the twin's whole figures at 3 m ty was 5.6, 4.9 and 4.2 % of a thermal pixel
# off with 2.2, 2.0 and 1.8 (waist-up at 1 m: 1.5 with each); with 1.8 near shirts' warmth went to the trousers.
HIP = 2.0
SMALLEST_SHARE = 0.002  # of the picture; a smaller blob is a fault of the mask, and is called torso


def cut_zones(masks: np.ndarray, columns: int) -> np.ndarray:
    """The share of every cell that each zone covers.

    Args:
        masks: (N, h, w) bool, or float 0..1; the union of the people in view.
        columns: cells across the image; rows follow from its aspect.

    Returns:
        (N, 5, rows, columns) float32, 0..1, in the order of `ZONES`; a cell's sum is the mask's share of it.
    """
    count, height, width = masks.shape
    rows = max(1, round(columns * height / width))
    fine_columns = min(FINE_COLUMNS, max(width, columns))
    fine = (fine_columns, max(1, round(fine_columns * height / width)))
    cells = np.zeros((count, len(ZONES), rows, columns), dtype=np.float32)
    for frame, mask in enumerate(masks):
        share = cv2.resize(mask.astype(np.float32), fine, interpolation=cv2.INTER_AREA)
        zones = _label_zones(share > 0.5)
        for zone in range(len(ZONES)):
            part = np.where(zones == zone, share, np.float32(0))
            if part.any():
                cells[frame, zone] = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return cells


def _label_zones(mask: np.ndarray) -> np.ndarray:
    """(h, w) int: the zone each pixel would be of, were it a person's; people apart are cut apart."""
    zones = np.full(mask.shape, ZONES.index("torso"))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < SMALLEST_SHARE * mask.size:
            continue
        person = labels == label
        zones[person] = _cut_person(person)[person]
    return zones


def _cut_person(person: np.ndarray) -> np.ndarray:
    """(h, w) int: zones around the torso of one person."""
    # A figure cut by the frame goes on below it as it left, and mirrored beside it, so that the circle may touch the
    # frame there; nothing goes on above it.
    height, width = person.shape
    margin = width // 4
    wider = cv2.copyMakeBorder(person.astype(np.uint8), 0, 0, margin, margin, cv2.BORDER_REFLECT)
    wider = cv2.copyMakeBorder(wider, 0, height, 0, 0, cv2.BORDER_REPLICATE)
    wider = cv2.copyMakeBorder(wider, 1, 0, 0, 0, cv2.BORDER_CONSTANT, value=0)
    reach = cv2.distanceTransform(wider, cv2.DIST_L2, cv2.DIST_MASK_5)[1 : height + 1, margin : margin + width]
    radius = float(reach.max())
    # The topmost place that is nearly as wide: a coat's hem can be wider than the chest. Of its row, the widest.
    row = int(np.flatnonzero((reach >= 0.92 * radius).any(axis=1))[0])
    column = int(reach[row].argmax())
    y, x = np.mgrid[0:height, 0:width]
    beside = np.abs(x - column) > 1.15 * radius
    above = y < row - 0.85 * radius
    top = int(np.flatnonzero(person.any(axis=1))[0])
    hairline = top + 0.42 * (row - 0.85 * radius - top)
    conditions = [y > row + HIP * radius, beside, above & (y < hairline), above]
    return np.select(conditions, [ZONES.index(zone) for zone in ("legs", "arms", "hair", "face")], ZONES.index("torso"))
