"""PASS or WARN, and the one thing to do: a score alone tells nobody whether to go on."""

from dataclasses import dataclass

import numpy as np

ENOUGH_FRAMES = 60  # with 24 the two halves of a real recording were 14 % of a thermal pixel apart
LEAST_COLUMNS, LEAST_ROWS = 0.75, 0.5  # of the sensor's columns and rows that someone must have been before
VISITED = 0.02  # share of the frames in which a pixel must have been filled
LEAST_MOVED = 1.0  # thermal pixels; from one place shift and scale are one
LEAST_R2 = 0.3  # shuffled pairs give 0.04, real pairs 0.7 to 0.85
LEAST_MARGIN = 0.05  # of r2, from the sensor's orientation to the next: 0.31 and more on a real rig, 0.1 on the twin
FWHM_RANGE = (0.55, 1.6)  # thermal pixels; two real sensors have 0.95 to 1.05, a box of one pixel is as wide as 0.68
MOST_SD = 0.1  # thermal pixels
LEAST_HELD_OUT = 0.75  # of the r2 in the fit's own frames; good recordings keep 0.9 and more
MOST_MISSING = 0.3  # share of the frames with someone warm and an empty mask


@dataclass(frozen=True, eq=False)
class Findings:
    """What a verdict rests on.

    Attributes:
        frames: with someone in the mask.
        coverage: (R, C) share of the frames in which someone filled the pixel.
        counts: (R, C) 0..1, how far each pixel lies in the image.
        r2: share of the heat's variance explained.
        held_out_r2: the same, fitted on one half and scored on the other.
        fwhm: footprint, thermal pixels.
        sd_share: standard deviation of tx and ty, thermal pixels.
        halves_apart: distance between the poses of the two halves, in their standard deviations.
        orientation_r2: best score of each orientation, (quarter turns anticlockwise, mirrored).
        on_border: whether the pose lies at the edge of the search.
        missing_masks: share of the frames with warmth and no mask.
        moved: how far the middle of the people wandered, thermal pixels.
        masks_out_of_place: the masks are by a network that has seen the twin alone, the clips are not the twin's.
        mounted: (rotation in degrees clockwise, mirror) that the heatmaps went through; None when unknown.
    """

    frames: int
    coverage: np.ndarray
    counts: np.ndarray
    r2: float
    held_out_r2: float
    fwhm: float
    sd_share: tuple[float, float]
    halves_apart: float
    orientation_r2: dict[tuple[int, bool], float]
    on_border: bool
    missing_masks: float
    moved: float
    masks_out_of_place: bool = False
    mounted: tuple[int, bool] | None = None


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
        return _tell_mounting(best, found.mounted)
    if found.missing_masks > MOST_MISSING:
        return (
            f"the masks miss the person in {found.missing_masks:.0%} of the frames with someone warm in view: "
            "try --masks maskrcnn, or record in brighter light"
        )
    if found.frames < ENOUGH_FRAMES:
        return (
            f"someone is in view in {found.frames} frames: record until there are {ENOUGH_FRAMES} or more, 200 is good"
        )
    if found.moved < LEAST_MOVED:
        return (
            f"people stayed in one place (their middle moved {found.moved:.1f} thermal pixels): "
            "walk from edge to edge, near and far"
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
    if found.held_out_r2 < LEAST_HELD_OUT * found.r2:
        return (
            f"one half of the recording explains {max(found.held_out_r2, 0):.0%} of the heat in the other, "
            f"{found.r2:.0%} in itself: record all of it in one go, rig and lights untouched"
        )
    if max(found.sd_share) > MOST_SD or found.halves_apart > 2:
        return "the fit is uncertain: record a longer walk through all corners, near and far"
    return ""


def _narrow(found: Findings) -> str:
    """Where to walk, when parts of the sensor's field in the image never saw anyone; else nothing."""
    visible = found.counts > 0.5
    visited = found.coverage > VISITED
    columns, rows = np.any(visited, axis=0), np.any(visited, axis=1)
    height, width = visited.shape
    if columns.sum() < min(LEAST_COLUMNS * width, np.any(visible, axis=0).sum()):
        left, right = columns[: width // 2].sum(), columns[width // 2 :].sum()
        side = "left and the right" if left == right else "left" if left < right else "right"
        return f"people crossed {columns.sum()} of {width} thermal columns: walk to the {side} edge of the picture too"
    if rows.sum() < min(LEAST_ROWS * height, np.any(visible, axis=1).sum()):
        return f"people filled {rows.sum()} of {height} thermal rows: come nearer, and crouch"
    return ""


def _tell_mounting(mending: tuple[int, bool], mounted: tuple[int, bool] | None) -> str:
    """What to write into rig.toml for a sensor that is mounted otherwise than it says.

    Args:
        mending: quarter turns anticlockwise, then a mirroring, that would mend the heatmaps.
        mounted: (rotation in degrees clockwise, mirror) that they went through already.
    """
    turns, mirror = mending
    clockwise = -90 * turns % 360
    found = " and ".join([f"turned by {360 - clockwise} degrees"] * bool(turns) + ["mirrored"] * mirror)
    if mounted is None:
        change = [f"add {clockwise} to its rotation"] * bool(turns) + ["change mirror to the other value"] * mirror
        # A mirroring comes after the rotation there, so behind one the turn goes the other way round
        behind = f" (where mirror is true already, add {-clockwise % 360})" if clockwise % 180 else ""
        return f"the sensor seems {found}: in rig.toml {' and '.join(change)}{behind}; then calibrate again"
    rotation = (mounted[0] + (-clockwise if mounted[1] else clockwise)) % 360
    flip = str(bool(mounted[1]) != mirror).lower()
    return f"the sensor seems {found}: set rotation = {rotation} and mirror = {flip} in rig.toml, then calibrate again"
