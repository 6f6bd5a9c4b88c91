"""PASS or WARN, and the one thing to do: a score alone tells nobody whether to go on."""

from dataclasses import dataclass

import numpy as np

ENOUGH_FRAMES = 60  # with 24 the two halves of a real recording were 14 % of a thermal pixel apart
LEAST_COLUMNS, LEAST_ROWS = 6, 4  # thermal pixels that someone must have been before
VISITED = 0.02  # share of the frames in which a pixel must have been filled
LEAST_R2 = 0.3  # shuffled pairs give 0.04, real pairs 0.7 to 0.85
LEAST_MARGIN = 0.05  # of r2, from the sensor's orientation to the next: 0.31 and more on a real rig, 0.1 on the twin
FWHM_RANGE = (0.7, 1.6)  # thermal pixels; two real sensors have 0.95 to 1.05
MOST_SD = 0.1  # thermal pixels
MOST_MISSING = 0.3  # share of the frames with someone warm and an empty mask


@dataclass(frozen=True, eq=False)
class Findings:
    """What a verdict rests on.

    Attributes:
        frames: with someone in the mask.
        coverage: (8, 8) share of the frames in which someone filled the pixel.
        counts: (8, 8) 0..1, how far each pixel lies in the image.
        r2: share of the heat's variance explained.
        fwhm: footprint, thermal pixels.
        sd_share: standard deviation of tx and ty, thermal pixels.
        halves_apart: distance between the poses of the two halves, in their standard deviations.
        orientation_r2: best score of each orientation, (quarter turns anticlockwise, mirrored).
        on_border: whether the pose lies at the edge of the search.
        missing_masks: share of the frames with warmth and no mask.
        masks_out_of_place: the masks are by a network that has seen the twin alone, the clips are not the twin's.
    """

    frames: int
    coverage: np.ndarray
    counts: np.ndarray
    r2: float
    fwhm: float
    sd_share: tuple[float, float]
    halves_apart: float
    orientation_r2: dict[tuple[int, bool], float]
    on_border: bool
    missing_masks: float
    masks_out_of_place: bool = False


def judge(found: Findings) -> tuple[str, str]:
    """("PASS", "") or ("WARN", what to do); of several faults the one that makes the others is named."""
    advice = _advise(found)
    return ("WARN", advice) if advice else ("PASS", "")


def _advise(found: Findings) -> str:
    if found.masks_out_of_place:
        return "the small network knows the twin's people alone: use --masks maskrcnn, or masks from a folder"
    best = max(found.orientation_r2, key=lambda key: found.orientation_r2[key])
    upright = found.orientation_r2[(0, False)]
    others = max(r2 for key, r2 in found.orientation_r2.items() if key != (0, False))
    if best != (0, False) and others - upright > 0.5 * LEAST_MARGIN:
        return f"the heatmaps seem {_name(best)}: correct that in rig.toml (rotation, mirror) and calibrate again"
    if found.missing_masks > MOST_MISSING:
        return (
            f"the masks miss the person in {found.missing_masks:.0%} of the frames with someone warm in view: "
            "try --masks maskrcnn, or record in brighter light"
        )
    if found.frames < ENOUGH_FRAMES:
        return (
            f"someone is in view in {found.frames} frames: record until there are {ENOUGH_FRAMES} or more, 200 is good"
        )
    if found.r2 < LEAST_R2:
        return (
            f"the masks explain {found.r2:.0%} of the heat: check that heat and pictures are of the same time, "
            "and keep other warm things out of view"
        )
    if found.on_border:
        return "the best place lies at the edge of what was searched: turn sensor and camera to look the same way"
    narrow = _narrow(found)
    if narrow:
        return narrow
    if upright - others < LEAST_MARGIN:
        return "another way to mount the sensor fits nearly as well: walk to one side, then raise one arm"
    if not FWHM_RANGE[0] <= found.fwhm <= FWHM_RANGE[1]:
        return (
            f"a thermal pixel seems {found.fwhm:.2f} pixels wide, outside {FWHM_RANGE[0]} to {FWHM_RANGE[1]}: "
            "look at the overlay before using this"
        )
    if max(found.sd_share) > MOST_SD or found.halves_apart > 2:
        return "the fit is uncertain: record a longer walk through all corners, near and far"
    return ""


def _narrow(found: Findings) -> str:
    """Where to walk, when parts of the sensor's field in the image never saw anyone; else nothing."""
    visible = found.counts > 0.5
    visited = found.coverage > VISITED
    columns, rows = np.any(visited, axis=0), np.any(visited, axis=1)
    if columns.sum() < min(LEAST_COLUMNS, np.any(visible, axis=0).sum()):
        left, right = columns[:4].sum(), columns[4:].sum()
        side = "left and the right" if left == right else "left" if left < right else "right"
        return f"people crossed {columns.sum()} of 8 thermal columns: walk to the {side} edge of the picture too"
    if rows.sum() < min(LEAST_ROWS, np.any(visible, axis=1).sum()):
        return f"people filled {rows.sum()} of 8 thermal rows: come nearer, and crouch"
    return ""


def _name(orientation: tuple[int, bool]) -> str:
    """The fault whose mending `orientation` is, in words."""
    turns, mirror = orientation
    parts = [f"to need a turn of {90 * turns} degrees anticlockwise"] if turns else []
    if mirror:
        parts.append("mirrored left to right" if not turns else "a mirroring")
    return " and ".join(parts)
