"""Body zones of a person mask: what a person's warmth differs between.

A face is twice as warm as trousers. A fit that gives a whole person one temperature is drawn upwards by about 15 % of
a thermal pixel however many frames it has, so the mask is cut into zones and each gets a temperature of its own. The
cuts hang on the largest circle that the mask holds, the torso's, and so serve a waist-up view and a whole figure.
Where a cut lies is uncertain, so zones that run into each other (chest and flanks, along an arm) share the pixels
between them; and no zone is of one temperature in all frames, see `WANDER_C`. No mask ends just where its person does,
so the band along its outline is a zone too: it is warm where masks are too narrow, and cools where they are too wide.
"""

from itertools import pairwise

import cv2
import numpy as np

PARTS = ("hair", "face", "torso", "flanks", "upper arms", "forearms", "hands", "legs")  # these share the mask
ZONES = (*PARTS, "outline")  # and this lies across its edge
OUTLINE = 2.0  # pixels of the fine picture from the edge, either way: 4 px of 640
# How far a zone's temperature is from its mean in one frame, degC: a face turned away shows hair, an arm before the
# chest hides it, two people differ. A fit with one temperature for all frames had s 1.9 % off where this had 0.7 %.
# A mask wider or narrower by 4 px changes the outline's by half a person's, so it may differ as much as a face's.
WANDER_C = (1.0, 2.0, 0.6, 0.6, 1.2, 1.2, 1.2, 0.7, 2.0)
FINE_COLUMNS = 320  # at most, of the picture that zones are cut in: a torso 3 m away is 20 wide
# Torso radii from chest to trousers. On the twin's whole figures at 3 m ty was 5.6, 4.9 and 4.2 % of a thermal pixel
# off with 2.2, 2.0 and 1.8 (waist-up at 1 m: 1.5 with each); with 1.8 near shirts' warmth went to the trousers.
HIP = 2.0
FLANK = (0.5, 1.1)  # torso radii from its middle line, where the chest ends and where arms may hang before the flank
ALONG_ARM = (0.5, 1.2, 1.9)  # torso radii from the shoulder: upper arm, forearm and hand at their purest
SMALLEST_SHARE = 0.002  # of the picture; a smaller blob is a fault of the mask, and is called torso


def cut_zones(masks: np.ndarray, columns: int) -> np.ndarray:
    """The share of every cell that each zone covers.

    Args:
        masks: (N, h, w) bool, or float 0..1; the union of the people in view.
        columns: cells across the image; rows follow from its aspect.

    Returns:
        (N, 9, rows, columns) float32, 0..1, in the order of `ZONES`; a cell's sum over `PARTS` is the mask's share.
    """
    count, height, width = masks.shape
    rows = max(1, round(columns * height / width))
    fine_columns = min(FINE_COLUMNS, max(width, columns))
    fine = (fine_columns, max(1, round(fine_columns * height / width)))
    cells = np.zeros((count, len(ZONES), rows, columns), dtype=np.float32)
    for frame, mask in enumerate(masks):
        share = cv2.resize(mask.astype(np.float32), fine, interpolation=cv2.INTER_AREA)
        mask = share > 0.5
        for zone, there in enumerate((*(_share_out(mask) * share), _trace(mask))):
            if there.any():
                cells[frame, zone] = cv2.resize(there, (columns, rows), interpolation=cv2.INTER_AREA)
    return cells


def _share_out(mask: np.ndarray) -> np.ndarray:
    """(8, h, w) float32: each pixel's share in each zone, were it a person's; people apart are cut apart."""
    parts = np.zeros((len(PARTS), *mask.shape), dtype=np.float32)
    parts[PARTS.index("torso")] = 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        left, top, width, height, area = (int(number) for number in stats[label])
        if area < SMALLEST_SHARE * mask.size:
            continue
        person = labels == label
        box = slice(top, top + height), slice(left, left + width)
        np.copyto(parts[:, *box], _cut_person(person, box), where=person[box])
    return parts


def _trace(mask: np.ndarray) -> np.ndarray:
    """(h, w) float32: 1 in the band along the outlines. Where the frame cuts a person there is none."""
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.float32)
    margin = int(np.ceil(OUTLINE)) + 1
    wider = cv2.copyMakeBorder(mask.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    inwards, outwards = (cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_5) for side in (wider, 1 - wider))
    near = np.maximum(inwards, outwards) < OUTLINE
    return near[margin:-margin, margin:-margin].astype(np.float32)


def _cut_person(person: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """(8, h, w) float32: zones around the torso of one person, within a box."""
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
    y = (np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - row) / radius
    x = np.abs(np.arange(box[1].start, box[1].stop, dtype=np.float32)[None] - column) / radius
    top = (box[0].start - row) / radius
    legs = np.broadcast_to(y > HIP, (len(y), x.shape[1]))
    arms = ~legs & (x > 1.15)
    head = ~legs & ~arms & (y < -0.85)
    hair = head & (y < top + 0.42 * (-0.85 - top))
    torso = ~legs & ~arms & ~head
    flank = np.clip((x - FLANK[0]) / (FLANK[1] - FLANK[0]), 0, 1)
    from_shoulder = np.hypot(x - 1, y + 0.3)
    below_shoulder, hand = (np.clip((from_shoulder - near) / (far - near), 0, 1) for near, far in pairwise(ALONG_ARM))
    return np.stack([
        hair, head & ~hair, torso * (1 - flank), torso * flank,
        arms * (1 - below_shoulder), arms * (below_shoulder - hand), arms * hand, legs,
    ]).astype(np.float32)  # fmt: skip
