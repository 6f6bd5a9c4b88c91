"""What heat and masks must be before anything is fitted to them, and what is said when they are not."""

from dataclasses import dataclass

import numpy as np

from .geometry import CalibrationError

FEWEST_FRAMES = 20  # with someone in view; below this there is nothing to estimate an error from
LEAST_CHANGE_C = 0.1  # sd of the heat over time; the sensor's own noise is twice that
ROOM_C = (-40.0, 79.9)  # beyond it no room is; the AMG8833 ends at 80 degC, its registers at -512 and 511.75
MOST_BEYOND = 0.05  # share of the frames with values beyond; so few are left out, more are a fault of the sensor
FULL = 0.95  # of the picture; no person fills more in most frames
SOMEONE = 0.01  # of the picture; a smaller mask is nobody


@dataclass(frozen=True, eq=False)
class Inputs:
    """What passed.

    Attributes:
        heatmaps: (N, R, C) float32, degC; values beyond a room's are replaced by the pixel's median.
        masks: (N, h, w) float32 or bool, 0..1.
        usable: (N,) bool, frames whose heat is whole.
        occupied: (N,) bool, frames with someone in the mask.
        notes: what was put right, in words.
    """

    heatmaps: np.ndarray
    masks: np.ndarray
    usable: np.ndarray
    occupied: np.ndarray
    notes: tuple[str, ...]


def check_inputs(heatmaps: np.ndarray, masks: np.ndarray, image_size: tuple[int, int]) -> Inputs:
    """The inputs, once they can be fitted at all.

    Args:
        heatmaps: (N, R, C), degC.
        masks: (N, h, w) bool, or float 0..1.
        image_size: (width, height) of the recorded image, px.

    Raises:
        CalibrationError: shapes that do not match, too few frames, heat that is no number, saturated or never changes,
            masks without anyone, full masks, masks of another aspect than the image.
    """
    heatmaps, masks = np.asarray(heatmaps, dtype=np.float32), np.asarray(masks)
    if heatmaps.ndim != 3 or min(heatmaps.shape[1:]) < 4 or masks.ndim != 3 or len(masks) != len(heatmaps):
        raise CalibrationError(
            f"heatmaps are {heatmaps.shape} and masks {masks.shape}; need (N, rows, columns), 4 or more, and (N, h, w)"
        )
    count = len(heatmaps)
    if count < FEWEST_FRAMES:
        raise CalibrationError(f"{count} frames; calibration needs {FEWEST_FRAMES} at least, 200 is good")
    if not np.isfinite(heatmaps).all():
        bad = int((~np.isfinite(heatmaps)).any(axis=(1, 2)).sum())
        raise CalibrationError(
            f"{bad} of {count} heatmaps hold values that are not numbers; check the clip with `lrt clips verify`"
        )
    heatmaps, usable, notes = _leave_out_beyond(heatmaps)
    change = heatmaps[usable] - heatmaps[usable].mean(axis=0)
    if change.std() < LEAST_CHANGE_C:
        raise CalibrationError(
            f"the heat hardly changes over {count} frames (sd {change.std():.2f} degC); "
            "record someone walking through the view"
        )
    occupied = _check_masks(masks, image_size)
    found = int((occupied & usable).sum())
    if found < FEWEST_FRAMES:
        raise CalibrationError(
            f"someone is in view in {found} of {count} frames; calibration needs {FEWEST_FRAMES} at least, 200 is good"
        )
    return Inputs(heatmaps, masks, usable, occupied, notes)


def _leave_out_beyond(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Heatmaps without values that no room has, which frames were whole, and what to say of it."""
    beyond = (heatmaps < ROOM_C[0]) | (heatmaps > ROOM_C[1])
    usable = np.asarray(~beyond.any(axis=(1, 2)))
    bad = int((~usable).sum())
    if not bad:
        return heatmaps, usable, ()
    frame, row, column = (int(place) for place in np.argwhere(beyond)[0])
    found = f"{bad} of {len(heatmaps)} heatmaps are saturated (pixel row {row}, column {column}: "
    found += f"{heatmaps[frame, row, column]:g} degC)"
    if bad > MOST_BEYOND * len(heatmaps):
        raise CalibrationError(f"{found}; take hot things out of view, or check the sensor with `lrt check`")
    return replace_beyond(heatmaps), usable, (f"{found}; they were left out",)


def replace_beyond(heatmaps: np.ndarray) -> np.ndarray:
    """(N, R, C) float32: values that no room has, or that are no numbers, replaced by the pixel's median."""
    sound = (heatmaps >= ROOM_C[0]) & (heatmaps <= ROOM_C[1])
    if sound.all():
        return heatmaps
    middle = np.nanmedian(np.where(sound, heatmaps, np.nan), axis=0)
    return np.where(sound, heatmaps, np.nan_to_num(middle)).astype(np.float32)


def _check_masks(masks: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: which hold someone."""
    count, height, width = masks.shape
    if abs(height * image_size[0] / (width * image_size[1]) - 1) > 0.05:
        raise CalibrationError(
            f"masks are {width}x{height}, images {image_size[0]}x{image_size[1]}: not of one shape; "
            "a mask must cover the whole image"
        )
    if masks.dtype != bool and not (masks.min() >= 0 and masks.max() <= 1):
        raise CalibrationError(f"masks hold values from {masks.min():g} to {masks.max():g}; need bool, or 0 to 1")
    share = masks.mean(axis=(1, 2), dtype=np.float64)
    if not (share > SOMEONE).any():
        raise CalibrationError(
            f"no person in any of {count} masks; record someone walking in view, or try other --masks"
        )
    full = int((share > FULL).sum())
    if full > count / 2:
        raise CalibrationError(
            f"{full} of {count} masks fill the whole picture; True must be person: invert them, or try other --masks"
        )
    return share > SOMEONE


def share_cut(masks: np.ndarray, occupied: np.ndarray) -> dict[str, float]:
    """The share of the frames with someone in which the picture's edge cuts them: at a side or the top, at the foot."""
    filled = masks[occupied] > 0.5
    reach = max(2, round(0.03 * masks.shape[2]))  # pixels; a finger at the edge is not a person cut
    sides = np.maximum(filled[:, :, 0].sum(axis=1), filled[:, :, -1].sum(axis=1))
    sides = np.maximum(sides, filled[:, 0].sum(axis=1))
    return {"sides": float((sides >= reach).mean()), "foot": float((filled[:, -1].sum(axis=1) >= reach).mean())}
