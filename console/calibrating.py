"""Calibration, as a command and a page call it: clips in, calibration.json, its page and its picture out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from .. import write_whole
from ..dataset.consent import today
from .pictures import write_image
from .results import PAIR_GAP_MS, Result, StageError, Update, needs_torch, plain, silent

DOUBTED_OVERLAP = 0.3  # of warm region and masks; the right masks have 0.5 and more at the fit


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What a calibration looks at: every heatmap of the clips, and the frames chosen for masks."""

    clips: Sequence[Any]
    series: Any  # calibration.lag.HeatmapSeries, all heatmaps
    heatmaps: np.ndarray  # (N, 8, 8) float32, degC, oriented: the chosen
    clip: np.ndarray  # (N,) which clip each is of
    images: Sequence[Any]  # the image that goes with each

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height), px, of every clip."""
        return self.clips[0].header.image_size

    def described(self) -> dict[str, Any]:
        """What `fit_calibration` and `check_calibration` want to know besides heatmaps and masks."""
        sensors = [clip.header.rig.get("sensor", {}) for clip in self.clips]
        mounted = {(sensor.get("rotation", 0), sensor.get("mirror", False)) for sensor in sensors}
        return {
            "clip": self.clip,
            "image_times_ns": np.array([image.timestamp_ns for image in self.images], np.int64),
            "series": self.series,
            "clips": {clip.header.clip_id: clip.sha256 for clip in self.clips},
            "synthetic": any(clip.header.synthetic for clip in self.clips),
            "mounted": mounted.pop() if len(mounted) == 1 else None,
        }


def _gather(clips: Sequence[Path], frames: int) -> _Evidence:
    from ..calibration.frames import choose_frames
    from ..calibration.lag import HeatmapSeries
    from ..rig.clip import open_clip

    opened = [open_clip(folder) for folder in clips]
    if len({clip.header.image_size for clip in opened}) > 1:
        found = ", ".join(f"{clip.header.clip_id} {clip.header.image_size}" for clip in opened)
        raise StageError(f"clips of different image sizes cannot be calibrated together: {found}")
    if twice := [a.folder for n, a in enumerate(opened) if any(a.sha256 == b.sha256 for b in opened[:n])]:
        raise StageError(f"clip {twice[0]} is given twice; its frames would count double")
    times, heat = [], []  # of every heatmap, clip by clip
    pairs: list[tuple[int, int, int]] = []  # clip, heatmap, image
    for number, clip in enumerate(opened):
        celsius = np.array([heatmap.celsius for heatmap in clip.heatmaps()], np.float32).reshape(-1, 8, 8)
        times.append(clip.heat_times_ns)
        heat.append(clip.oriented(celsius))
        heat_index, image_index, _ = clip.pair_index(PAIR_GAP_MS)
        pairs += [(number, int(k), int(m)) for k, m in zip(heat_index, image_index, strict=True)]
    if not pairs:
        raise StageError(f"no heatmap of {len(opened)} clips has an image within {PAIR_GAP_MS:g} ms; verify the clips")
    of_clip = np.array([number for number, _, _ in pairs])
    paired = np.stack([heat[number][k] for number, k, _ in pairs])
    chosen = choose_frames(paired, frames, clip=of_clip)
    return _Evidence(
        clips=opened,
        series=HeatmapSeries(
            timestamps_ns=np.concatenate(times),
            celsius=np.concatenate(heat),
            clip=np.repeat(np.arange(len(opened)), [len(each) for each in times]),
        ),
        heatmaps=paired[chosen],
        clip=of_clip[chosen],
        images=[opened[number].image(m) for number, _, m in (pairs[index] for index in chosen)],
    )


def export_frames(clips: Sequence[Path], out: Path, frames: int = 200) -> Result:
    """Write the frames that `calibrate` would look at, named as a folder of masks must name them.

    Raises:
        ClipError, StageError: see there; `out` exists.
    """
    evidence = _gather(clips, frames)
    if out.exists():
        raise StageError(f"{out} exists already; choose another folder for the frames")
    out.mkdir(parents=True)
    for number, image in enumerate(evidence.images):
        write_image(out / f"{number:06d}.png", image.pixels)
    return {"out": str(out), "frames": len(evidence.images)}


def calibrate(
    clips: Sequence[Path],
    out: Path,
    masks: str = "maskrcnn",
    weights: Path | None = None,
    frames: int = 200,
    objective: str = "forward",
    baseline_cm: float | None = None,
    distance_m: float | None = None,
    fast_masks: bool = True,
    keep_masks: bool = True,
    on_progress: Update = silent,
) -> Result:
    """Find the person in chosen frames of the clips, fit heat to picture, and write the fit, a picture and a page.

    Args:
        clips: whole clips of one rig.
        out: calibration.json; picture and page go beside it, as .png and .html, and are there before it.
        masks, weights: see `calibration.masks.open_masks`.
        frames: how many to look for people in.
        objective: see `calibration.fitting.fit_calibration`.
        baseline_cm, distance_m: for the page's distance table, see `calibration.distance.DistanceConfig`.
        fast_masks: see `open_masks`.
        keep_masks: whether masks are kept in the user's cache folder, so that a second fit is quick.

    Raises:
        ClipError, MaskError, CalibrationError, StageError: see there; clips of different image sizes, or one of them
            twice; `out` cannot be written.
    """
    picture, page = out.with_suffix(".png"), out.with_suffix(".html")
    if out in (picture, page):
        raise StageError(f"--out {out}: the calibration is JSON, and a picture and a page go beside it; name it .json")
    _must_be_writable(out)
    distance = _distance(baseline_cm, distance_m)
    source = _open_masks(masks, weights, fast_masks, keep_masks)
    evidence = _gather(clips, frames)
    people = _find_people(source, evidence, on_progress)
    from ..calibration.fitting import fit_calibration
    from ..calibration.geometry import write_calibration
    from ..calibration.overlay import show_frames
    from ..calibration.picture import draw_picture
    from ..calibration.report import render_page

    described = evidence.described()
    fit = fit_calibration(
        evidence.heatmaps, people, evidence.image_size, objective=objective, masks_name=source.name, **described
    )
    if Path(masks).is_dir() and fit.calibration.overlap < DOUBTED_OVERLAP:
        fit = replace(
            fit, notes=(*fit.notes, f"masks from a folder go by number: are those in {masks} of these frames?")
        )
    pixels = [image.pixels for image in evidence.images]
    shown = show_frames(fit, pixels, evidence.heatmaps, people)
    drawn = draw_picture(fit, shown)
    html = render_page(fit, shown, today(), distance)
    try:
        write_image(picture, drawn)
        write_whole(page, html.encode())
        write_calibration(fit.calibration, out)  # last: where it is, what shows whether to trust it is too
    except OSError as error:
        raise StageError(f"{out} cannot be written ({error.strerror}); choose another --out") from error
    written = {"calibration": str(out), "picture": str(picture), "page": str(page)}
    return plain({**written, "notes": fit.notes, **fit.calibration.to_json()})


def check_calibration(
    calibration: Path,
    clips: Sequence[Path],
    out: Path | None = None,
    masks: str = "maskrcnn",
    weights: Path | None = None,
    frames: int = 200,
    baseline_cm: float | None = None,
    distance_m: float | None = None,
    fast_masks: bool = True,
    keep_masks: bool = True,
    on_progress: Update = silent,
) -> Result:
    """Hold an old calibration against new clips; writes nothing but a page, where one is asked for.

    Args:
        calibration: calibration.json.
        clips: of the same rig, today.
        out: the page, a name ending in .html.
        masks, weights, frames, baseline_cm, distance_m, fast_masks, keep_masks: as for `calibrate`.

    Raises:
        ClipError, MaskError, CalibrationError, StageError: see there.
    """
    from ..calibration.geometry import read_calibration

    if out is not None:
        if out.suffix != ".html":
            raise StageError(f"--out {out}: a check writes a page and no calibration; name it .html, or leave it away")
        _must_be_writable(out)
    distance = _distance(baseline_cm, distance_m)
    known = read_calibration(calibration)
    source = _open_masks(masks, weights, fast_masks, keep_masks)
    evidence = _gather(clips, frames)
    from ..calibration.check import check_calibration as hold_against
    from ..calibration.check import refuse_other_rigs
    from ..calibration.overlay import show_frames
    from ..calibration.report import render_page

    described = evidence.described()
    refuse_other_rigs(known, evidence.image_size, described["synthetic"], f"clip {next(iter(described['clips']))}")
    people = _find_people(source, evidence, on_progress)
    check = hold_against(known, evidence.heatmaps, people, evidence.image_size, masks_name=source.name, **described)
    if out is not None:
        pixels = [image.pixels for image in evidence.images]
        shown = show_frames(check.fit, pixels, evidence.heatmaps, people, known)
        html = render_page(check.fit, shown, today(), distance, check)
        try:
            write_whole(out, html.encode())
        except OSError as error:
            raise StageError(f"{out} cannot be written ({error.strerror}); choose another --out") from error
    found = check.fit.calibration
    return plain(
        {
            "verdict": check.verdict,
            "advice": check.advice,
            "notes": (*check.notes, *check.fit.notes),
            "calibration": str(calibration),
            "page": None if out is None else str(out),
            "r2": check.r2,
            "overlap": check.overlap,
            "best": {name: getattr(found, name) for name in ("tx", "ty", "s", "offset_ms")},
            "best_r2": check.best_r2,
            "best_overlap": check.best_overlap,
            "moved": check.moved,
            "sds": check.sds,
            "frames": found.frames,
            "clips": found.clips,
            "synthetic": found.synthetic,
        }
    )


def _open_masks(masks: str, weights: Path | None, fast: bool, keep: bool) -> Any:
    """The `MaskSource`, opened before the clips are: what is wrong with it shows at once."""
    if masks in ("maskrcnn", "small"):
        needs_torch()
    from ..calibration.mask_cache import cache_folder
    from ..calibration.masks import open_masks

    return open_masks(masks, weights, fast=fast, cache=cache_folder() if keep else None)


def _find_people(source: Any, evidence: _Evidence, on_progress: Update) -> np.ndarray:
    """(N, H, W) masks of the chosen frames."""
    people: list[np.ndarray] = []
    for mask in source.masks(image.pixels for image in evidence.images):
        people.append(mask)
        on_progress(len(people), len(evidence.images))
    return np.stack(people)


def _distance(baseline_cm: float | None, distance_m: float | None) -> Any:
    """The `DistanceConfig` of what was given; the rest as it has it."""
    from ..calibration.distance import DistanceConfig

    given = {"baseline_cm": baseline_cm, "distance_m": distance_m}
    return DistanceConfig(**{name: value for name, value in given.items() if value is not None})


def _must_be_writable(path: Path) -> None:
    """Refuse a file that could not be written, before minutes of work go into it.

    Raises:
        StageError: its folder is missing or cannot be written, or a folder has its name.
    """
    folder = path.parent
    if not folder.is_dir():
        raise StageError(f"--out {path}: there is no folder {folder}; make it, or choose another")
    if path.is_dir():
        raise StageError(f"--out {path} is a folder; give the name of a file")
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StageError(f"--out {path}: {folder} cannot be written ({error.strerror}); choose another") from error
