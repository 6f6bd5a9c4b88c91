"""The stages, as a command and a page call them: files in, files out, and a plain dictionary of what came of it.

Each function opens what its stage needs, hands it to the folder that does the work, and says the result in values that
JSON can hold. The decisions are made in those folders, not here.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import cv2
import numpy as np

from .. import write_whole
from ..dataset.consent import today
from .people import admit_clip
from .results import PAIR_GAP_MS, Result, StageError, Update, plain, silent

TWIN_SECONDS = 30.0  # of a twin's clip when no length is given: by its own clock it would never end
CLIPS = Path("clips")
DOUBTED_OVERLAP = 0.3  # of warm region and masks; the right masks have 0.5 and more at the fit


# ---------------------------------------------------------------------------------------------------------- recording


def capture(
    clip_id: str,
    clothing: str,
    lighting: str,
    consent: str,
    occupants: int = 1,
    seconds: float | None = None,
    rig: str | None = None,
    out: Path | None = None,
    stop: threading.Event | None = None,
    on_progress: Update = silent,
    room: str = "",
    tags: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Record one clip and count what is in it: by the rig daemon where one runs, else with the devices themselves.

    Args:
        rig: "twin" or a rig file: not by the daemon. None: by the daemon, or with rig.toml in the working folder, then
            in the config folder.
        out: folder of the clips; None: the daemon's, or `clips`.
        seconds: None: until `stop` is set; the twin then records 30 s.
        room, tags: see `ClipHeader`.
        say: told what to warn of, before anything is recorded.

    Raises:
        TagError, ConsentError, ClipError, SettingsError, RigError: see there.
    """
    from ..rig.clip import ClipHeader, recover_cut_clips
    from ..rig.door import daemon_runs
    from ..rig.settings import TwinScene, open_rig
    from ..rig.station import record

    stop = stop or threading.Event()
    tagged: Result = {"clip_id": clip_id, "clothing": clothing, "lighting": lighting, "occupants": occupants}
    tagged |= {"consent": consent, "room": room, "tags": list(tags)}
    header = ClipHeader(**tagged, rig={})
    if rig is None and daemon_runs():
        return _capture_by_daemon({**tagged, "seconds": seconds}, out, stop, on_progress, say)
    settings = find_rig(rig)
    header, warnings = admit_clip(replace(header, synthetic=settings.synthetic), out or CLIPS)
    if settings.synthetic and seconds is None:
        seconds = TWIN_SECONDS
    out = out or CLIPS
    scene = TwinScene(clothing, lighting, occupants, seed_name=clip_id)
    with open_rig(settings, scene) as opened:
        for warning in warnings:
            say(warning)
        mended, _ = recover_cut_clips(out)
        header = replace(header, rig=settings.as_dict(), twin=opened.truth)
        done = record(
            opened,
            out,
            header,
            seconds,
            stop,
            lambda at: on_progress(at.seconds, seconds or at.seconds, f"{at.heatmaps} heatmaps, {at.images} images"),
        )
    return plain({**done.summary(), "recovered": [report.clip_id for report in mended], "warnings": warnings})


def _capture_by_daemon(
    request: Result, out: Path | None, stop: threading.Event, on_progress: Update, say: Callable[[str], None]
) -> Result:
    from ..rig.door import ask

    keeps = Path(ask({"do": "status"})["clips"])
    if out is not None and out.absolute() != keeps:
        raise StageError(f"the rig daemon keeps its clips in {keeps}; leave --out away, or stop the daemon")
    warnings = ask({"do": "start", **request}).get("warnings", [])  # a daemon of 0.1.0 has none
    for warning in warnings:
        say(warning)
    while not stop.wait(0.25):
        at = ask({"do": "status"})["recording"]
        if at is None or at["name"] != request["clip_id"]:
            break
        on_progress(at["seconds"], request["seconds"] or at["seconds"], f"{at['heatmaps']} heatmaps")
    return {**ask({"do": "stop", "clip_id": request["clip_id"]}), "recovered": [], "warnings": warnings}


def find_rig(choice: str | None) -> Any:
    """The `RigSettings` of a rig: "twin", a file, or rig.toml in the working folder, then in the config folder."""
    from ..rig.settings import load_rig

    return load_rig(choice, search=(Path(), config_folder()))


def check_rig(rig: str | None = None, seconds: float = 10.0, out: Path | None = None) -> Result:
    """The health report: by the rig daemon where one runs and no rig is named, else with the devices themselves.

    Args:
        seconds: how long to watch.
        out: folder of the clips, whose disk is looked at.
    """
    from ..rig.door import ask, daemon_runs
    from ..rig.health import Watch
    from ..rig.settings import TwinScene, open_rig
    from ..rig.station import Station

    if rig is None and daemon_runs():
        return {**ask({"do": "check"}), "daemon": True}
    settings = find_rig(rig)
    with open_rig(settings, TwinScene("red", "bright", 1), patient=True) as opened:
        station, watch = Station(opened), Watch(opened, seconds)
        station.listeners.append(watch.see)
        station.run(threading.Event(), seconds)
        health = watch.judge(out or CLIPS)
    return plain({**health.as_dict(), "daemon": False, "synthetic": settings.synthetic})


def sync_check(rig: str | None = None, seconds: float = 30.0, on_progress: Update = silent) -> Result:
    """Measure the time between heat and picture while somebody waves, and write it to the rig file.

    Args:
        rig: as for `capture`.
        seconds: how long to watch.

    Raises:
        SyncError: what was seen does not tell; nothing is written.
        SettingsError: the rig file cannot be written.
    """
    from ..rig.daemon import WAVING
    from ..rig.door import ask, daemon_runs
    from ..rig.settings import SyncSettings, open_rig
    from ..rig.station import Station
    from ..rig.sync_check import MotionWatch, as_settings, write_sync

    if rig is None and daemon_runs():
        found = ask({"do": "sync", "seconds": seconds}, timeout_s=seconds + 60)
        file = Path(found.pop("rig")) if found["rig"] else found.pop("rig")
        sync = SyncSettings(**found)
    else:
        settings = find_rig(rig)
        with open_rig(settings, WAVING) as opened:
            station, watch = Station(opened), MotionWatch()
            station.listeners.append(watch.see)
            begun_ns = opened.clock.now_ns()
            station.on_second = lambda: on_progress((opened.clock.now_ns() - begun_ns) / 1e9, seconds)
            station.run(threading.Event(), seconds)
        sync, file = as_settings(watch.measure()), settings.file
    if file:
        write_sync(file, sync)
    return {**asdict(sync), "rig": str(file) if file else None}


def ask_daemon(deed: str) -> Result:
    """What the rig daemon answers to `status` or `stop`."""
    from ..rig.door import ask

    return ask({"do": deed})


def config_folder() -> Path:
    """Where a user keeps rig.toml: $XDG_CONFIG_HOME/lrt, ~/.config/lrt without it."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lrt"


def list_clips(folder: Path) -> list[Result]:
    """What is known of every clip in the folder, cut ones too."""
    from ..rig import clip

    return [plain(asdict(summary)) for summary in clip.list_clips(folder)]


def show_clip(folder: Path) -> Result:
    """The whole of a clip's clip.json, of a cut clip too."""
    from ..rig.clip import ClipHeader

    return plain(asdict(ClipHeader.read(folder)))


def recover_clip(folder: Path) -> Result:
    """Mend a cut clip, and count what was saved."""
    from ..rig import clip

    report = clip.recover_clip(folder)
    return plain({"clip": report.clip_id, **asdict(report)})


def remove_clips(folders: Sequence[Path]) -> Result:
    """Take clips from the disk, for good; and every mask that was kept, for none says of which clip it is."""
    from ..calibration.mask_cache import cache_folder, clear_masks
    from ..rig.clip import remove_clip

    for folder in folders:
        remove_clip(folder)
    return {"removed": [str(folder) for folder in folders], "masks": clear_masks(cache_folder())}


# -------------------------------------------------------------------------------------------------- calibration, data


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
    from ..calibration.report import draw_report, render_page

    described = evidence.described()
    fit = fit_calibration(
        evidence.heatmaps, people, evidence.image_size, objective=objective, masks_name=source.name, **described
    )
    if Path(masks).is_dir() and fit.calibration.overlap < DOUBTED_OVERLAP:
        fit = replace(
            fit, notes=(*fit.notes, f"masks from a folder go by number: are those in {masks} of these frames?")
        )
    pixels = [image.pixels for image in evidence.images]
    drawn = draw_report(fit, pixels, evidence.heatmaps, people)
    html = render_page(fit, pixels, evidence.heatmaps, people, today(), distance)
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
    from ..calibration.report import render_page

    described = evidence.described()
    refuse_other_rigs(known, evidence.image_size, described["synthetic"], f"clip {next(iter(described['clips']))}")
    people = _find_people(source, evidence, on_progress)
    check = hold_against(known, evidence.heatmaps, people, evidence.image_size, masks_name=source.name, **described)
    if out is not None:
        pixels = [image.pixels for image in evidence.images]
        html = render_page(check.fit, pixels, evidence.heatmaps, people, today(), distance, check)
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


# -------------------------------------------------------------------------------------------------------------- model


def count_models() -> dict[str, int]:
    """Trainable parameters of every network at the paper's sizes."""
    needs_torch()
    from ..model.networks import model_table

    return model_table()


def synthesise(run: Path | str, heatmaps: Path, source: Path | str, out: Path, on_progress: Update = silent) -> Result:
    """Draw a picture for every heatmap of a clip, clothed and lit like the source.

    The clip's images are not read.

    Args:
        run: trained, or exported; it carries the calibration that its dataset was cut with.
        heatmaps: a clip of the same rig.
        source: who lends clothing and light, see `drawing.Drawing.source`.

    Raises:
        DrawingError, RunError, ClipError, StageError: see there; a source of another size, or `out` exists.
    """
    from ..model.synthesise import synthesise as draw
    from ..model.synthesise import write_pictures
    from ..rig.clip import open_clip
    from .drawing import open_drawing

    if out.exists():
        raise StageError(f"{out} exists already; choose another --out")
    drawing = open_drawing(run)
    clip = open_clip(heatmaps)
    found = clip.heatmaps()
    if not found:
        raise StageError(f"{heatmaps}: the clip holds no heatmaps")
    celsius = drawing.view.sample_heatmap(clip.oriented(np.stack([heatmap.celsius for heatmap in found])))
    drawn = []
    for image in draw(drawing.drawer, iter(celsius), drawing.source(source)):
        drawn.append(image)
        on_progress(len(drawn), len(celsius))
    video = write_pictures(drawn, celsius, out)
    return plain({"out": str(out), "pictures": len(drawn), "video": str(video), "source": str(source)})


# -------------------------------------------------------------------------------------------------------------- files


def needs_torch() -> None:
    """Say in one line what to install where torch is missing."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise StageError("this command needs PyTorch: pip install 'lrt[train]' (the rig's commands do not)")


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
