"""The stages, as a command and a page call them: files in, files out, and a plain dictionary of what came of it.

Each function opens what its stage needs, hands it to the folder that does the work, and says the result in values that
JSON can hold. The decisions are made in those folders, not here.
"""

import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .. import LrtError, write_whole

Update = Callable[..., None]  # update(done, total, note="")
Result = dict[str, Any]

TWIN_SECONDS = 30.0  # of a twin's clip when no length is given: by its own clock it would never end
CLIPS = Path("clips")
PAIR_GAP_MS = 50.0  # half the sensor's period: further away another heatmap is nearer


class StageError(LrtError, ValueError):
    """What a stage was given does not fit together."""


def _silent(done: float, total: float, note: str = "") -> None:
    """Nobody watches."""


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
    on_progress: Update = _silent,
) -> Result:
    """Record one clip and count what is in it: by the rig daemon where one runs, else with the devices themselves.

    Args:
        rig: "twin" or a rig file: not by the daemon. None: by the daemon, or with rig.toml in the working folder, then
            in the config folder.
        out: folder of the clips; None: the daemon's, or `clips`.
        seconds: None: until `stop` is set; the twin then records 30 s.

    Raises:
        TagError, ClipError, SettingsError, RigError: see there.
    """
    from ..dataset.tags import check_tags
    from ..rig.clip import ClipHeader, recover_cut_clips
    from ..rig.door import daemon_runs
    from ..rig.settings import TwinScene, open_rig
    from ..rig.station import record

    check_tags(clothing, lighting, occupants)
    stop = stop or threading.Event()
    tags: Result = {"clip_id": clip_id, "clothing": clothing, "lighting": lighting, "occupants": occupants}
    header = ClipHeader(**tags, consent=consent, rig={})
    if rig is None and daemon_runs():
        return _capture_by_daemon({**tags, "consent": consent, "seconds": seconds}, out, stop, on_progress)
    settings = find_rig(rig)
    if settings.synthetic and seconds is None:
        seconds = TWIN_SECONDS
    out = out or CLIPS
    scene = TwinScene(clothing, lighting, occupants, seed_name=clip_id)
    with open_rig(settings, scene) as opened:
        mended, _ = recover_cut_clips(out)
        header = replace(header, rig=settings.as_dict(), synthetic=settings.synthetic, twin=opened.truth)
        done = record(
            opened,
            out,
            header,
            seconds,
            stop,
            lambda at: on_progress(at.seconds, seconds or at.seconds, f"{at.heatmaps} heatmaps, {at.images} images"),
        )
    return _plain({**done.summary(), "recovered": [report.clip_id for report in mended]})


def _capture_by_daemon(request: Result, out: Path | None, stop: threading.Event, on_progress: Update) -> Result:
    from ..rig.door import ask

    keeps = Path(ask({"do": "status"})["clips"])
    if out is not None and out.absolute() != keeps:
        raise StageError(f"the rig daemon keeps its clips in {keeps}; leave --out away, or stop the daemon")
    ask({"do": "start", **request})
    while not stop.wait(0.25):
        at = ask({"do": "status"})["recording"]
        if at is None or at["name"] != request["clip_id"]:
            break
        on_progress(at["seconds"], request["seconds"] or at["seconds"], f"{at['heatmaps']} heatmaps")
    return {**ask({"do": "stop", "clip_id": request["clip_id"]}), "recovered": []}


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
    return _plain({**health.as_dict(), "daemon": False, "synthetic": settings.synthetic})


def sync_check(rig: str | None = None, seconds: float = 30.0, on_progress: Update = _silent) -> Result:
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


def serve(rig: str | None, out: Path, socket: Path | None, stop: threading.Event, say: Callable[[str], None]) -> Result:
    """Run the rig daemon until `stop` is set.

    Raises:
        SettingsError, DaemonError: no such rig; another daemon runs.
    """
    from ..dataset.tags import check_tags
    from ..rig.daemon import open_daemon
    from ..rig.door import socket_path

    settings, socket = find_rig(rig), socket or socket_path()
    with open_daemon(settings, out, socket, check_tags, say) as daemon:
        say(f"rig {settings.source}, clips in {out}, door {socket}; Ctrl-C ends it")
        daemon.run(stop)
    return {"socket": str(socket), "recordings": daemon.recordings}


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

    return [_plain(asdict(summary)) for summary in clip.list_clips(folder)]


def show_clip(folder: Path) -> Result:
    """The whole of a clip's clip.json, of a cut clip too."""
    from ..rig.clip import ClipHeader

    return _plain(asdict(ClipHeader.read(folder)))


def verify_clip(folder: Path) -> Result:
    """What a look at every byte of a clip found; `whole` says whether anything is wrong."""
    from ..rig import clip

    report = clip.verify_clip(folder)
    return _plain({"clip": str(folder), "whole": not report.problems, **asdict(report)})


def recover_clip(folder: Path) -> Result:
    """Mend a cut clip, and count what was saved."""
    from ..rig import clip

    report = clip.recover_clip(folder)
    return _plain({"clip": report.clip_id, **asdict(report)})


def mend_tags(folder: Path, **tags: Any) -> Result:
    """Correct a clip's tags, keeping what stood there in its history.

    Raises:
        TagError, ClipError: see there; nothing to change.
    """
    from getpass import getuser

    from ..dataset.tags import check_tags
    from ..rig.clip import ClipHeader
    from ..rig.clip import mend_tags as mend

    tags = {name: value for name, value in tags.items() if value is not None}
    if not tags:
        raise StageError("nothing to mend: give --clothing, --lighting, --occupants or --consent")
    header = replace(ClipHeader.read(folder), **tags)
    check_tags(header.clothing, header.lighting, header.occupants)
    return _plain({"clip": str(folder), **asdict(mend(folder, getuser(), **tags))})


def remove_clips(folders: Sequence[Path]) -> Result:
    """Take clips from the disk, for good."""
    from ..rig.clip import remove_clip

    for folder in folders:
        remove_clip(folder)
    return {"removed": [str(folder) for folder in folders]}


# -------------------------------------------------------------------------------------------------- calibration, data


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What a calibration looks at: every heatmap of the clips, and the frames chosen for masks."""

    clips: Sequence[Any]
    series: Any  # calibration.lag.HeatmapSeries, all heatmaps
    heatmaps: np.ndarray  # (N, 8, 8) float32, degC, oriented: the chosen
    clip: np.ndarray  # (N,) which clip each is of
    images: Sequence[Any]  # the image that goes with each


def _gather(clips: Sequence[Path], frames: int) -> _Evidence:
    from ..calibration.frames import choose_frames
    from ..calibration.lag import HeatmapSeries
    from ..rig.clip import open_clip

    opened = [open_clip(folder) for folder in clips]
    if len({clip.header.image_size for clip in opened}) > 1:
        found = ", ".join(f"{clip.header.clip_id} {clip.header.image_size}" for clip in opened)
        raise StageError(f"clips of different image sizes cannot be calibrated together: {found}")
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
    on_progress: Update = _silent,
) -> Result:
    """Find the person in chosen frames of the clips, fit heat to picture, and write both the fit and a picture of it.

    Args:
        clips: whole clips of one rig.
        out: calibration.json; the picture goes beside it, as .png.
        masks, weights: see `calibration.masks.open_masks`.
        frames: how many to look for people in.

    Raises:
        ClipError, MaskError, CalibrationError, StageError: see there; clips of different image sizes.
    """
    if masks in ("maskrcnn", "small"):
        needs_torch()
    from ..calibration.fit import fit_calibration
    from ..calibration.geometry import write_calibration
    from ..calibration.masks import open_masks
    from ..calibration.report import draw_report

    source = open_masks(masks, weights)
    evidence = _gather(clips, frames)
    people: list[np.ndarray] = []
    for mask in source.masks(image.pixels for image in evidence.images):
        people.append(mask)
        on_progress(len(people), len(evidence.images))
    headers = [clip.header for clip in evidence.clips]
    fit = fit_calibration(
        evidence.heatmaps,
        np.stack(people),
        headers[0].image_size,
        clip=evidence.clip,
        image_times_ns=np.array([image.timestamp_ns for image in evidence.images], np.int64),
        series=evidence.series,
        masks_name=source.name,
        clips={clip.header.clip_id: clip.sha256 for clip in evidence.clips},
        synthetic=any(header.synthetic for header in headers),
    )
    picture = out.with_suffix(".png")
    out.parent.mkdir(parents=True, exist_ok=True)
    pixels = [image.pixels for image in evidence.images]
    write_image(picture, draw_report(fit, pixels, evidence.heatmaps, np.stack(people)))
    write_calibration(fit.calibration, out)
    return _plain({"calibration": str(out), "picture": str(picture), **fit.calibration.to_json()})


def build_dataset(
    clips: Sequence[Path],
    calibration: Path,
    out: Path,
    test_clips: Sequence[str] = (),
    test_fraction: float = 0.1,
    max_gap_ms: float = PAIR_GAP_MS,
    on_progress: Update = _silent,
) -> Result:
    """Build a dataset, and count what is in it and what was left out.

    Raises:
        DatasetError, CalibrationError, ClipError, TagError: see `dataset.build.build_dataset`.
    """
    from ..dataset.build import BuildConfig
    from ..dataset.build import build_dataset as build

    config = BuildConfig(max_gap_ms=max_gap_ms, test_fraction=test_fraction, test_clips=tuple(test_clips))
    info = build(clips, calibration, out, config, on_progress=on_progress).info
    return _plain(
        {
            "dataset": str(out),
            "pairs": info.pairs,
            "clips": len(info.clips),
            "splits": info.splits,
            "left_out": info.left_out,
            "pair_error_ms_p50": info.pair_errors.p50_ms,
            "pair_error_ms_p95": info.pair_errors.p95_ms,
            "synthetic": info.synthetic,
        }
    )


# -------------------------------------------------------------------------------------------------------------- model


def count_models() -> dict[str, int]:
    """Trainable parameters of every network at the paper's sizes."""
    needs_torch()
    from ..model.networks import model_table

    return model_table()


def train(
    dataset: Path,
    out: Path,
    model: str = "spade-sr-64",
    preset: str = "authors",
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    stop: threading.Event | None = None,
    on_progress: Update = _silent,
    **overrides: int | None,
) -> Result:
    """Train on a dataset's training split, or go on with it.

    Args:
        overrides: `batch`, `gan_steps`, `inversion_steps` in place of the preset's; None leaves it.

    Raises:
        DatasetError, ConfigError, RunError, TrainError: see `model.train.train`.
    """
    needs_torch()
    from ..calibration.geometry import read_calibration
    from ..dataset.load import load_pairs
    from ..model.config import train_config
    from ..model.train import Progress
    from ..model.train import train as train_run

    pairs = load_pairs(dataset, "train")
    rows, columns = pairs.heatmaps.shape[1:]
    config = train_config(preset, model, (rows, columns), seed)
    config = replace(config, **{name: value for name, value in overrides.items() if value is not None})
    calibration = read_calibration(dataset / "calibration.json").to_json()

    def tell(at: Progress) -> None:
        losses = "  ".join(f"{name} {value:.3f}" for name, value in at.metrics.items())
        on_progress(at.step, at.steps, f"{at.phase}  {losses}")

    done = train_run(pairs, out, config, resume, calibration=calibration, on_progress=tell, stop=stop, device=device)
    return _plain({**asdict(done), "preset": preset, "model": model, "synthetic": pairs.synthetic})


def evaluate(
    run: Path,
    data: Path,
    split: str = "train",
    runs: int = 10,
    out: Path | None = None,
    on_progress: Update = _silent,
) -> Result:
    """Measure a run on one split of a dataset, as the paper does.

    Raises:
        RunError, DatasetError: see there.
    """
    needs_torch()
    from ..dataset.load import load_pairs
    from ..model.evaluate import evaluate as evaluate_run

    out = out or run / "evaluation"
    measured = evaluate_run(run, load_pairs(data, split), runs=runs, out=out, on_progress=on_progress)
    return _plain({**asdict(measured), "split": split, "out": str(out)})


def synthesise(run: Path, heatmaps: Path, source: Path, out: Path, on_progress: Update = _silent) -> Result:
    """Draw a picture for every heatmap of a clip, clothed and lit like the source.

    The clip's images are not read.

    Args:
        run: trained; it carries the calibration that its dataset was cut with.
        heatmaps: a clip of the same rig.
        source: a picture file of the size the run draws, or a whole frame of the size that was calibrated.

    Raises:
        RunError, ClipError, StageError: see there; a source of another size, or `out` exists.
    """
    needs_torch()
    from ..calibration.geometry import Calibration, find_view
    from ..model.run import Run
    from ..model.synthesise import synthesise as draw
    from ..model.synthesise import write_pictures
    from ..rig.clip import open_clip

    if out.exists():
        raise StageError(f"{out} exists already; choose another --out")
    record = Run.open(run).record
    if record.calibration is None:
        raise StageError(f"{run}: the run carries no calibration; train it on a dataset that `lrt build-dataset` made")
    calibration = Calibration.from_json(record.calibration)
    view = find_view(calibration, record.config.model.heatmap_shape)
    clip = open_clip(heatmaps)
    found = clip.heatmaps()
    if not found:
        raise StageError(f"{heatmaps}: the clip holds no heatmaps")
    celsius = view.sample_heatmap(clip.oriented(np.stack([heatmap.celsius for heatmap in found])))

    picture = read_image(source)
    rows, columns = record.config.model.image_shape
    if picture.shape[:2] != (rows, columns):
        calibration.check_image_size((picture.shape[1], picture.shape[0]), str(source))
        picture = view.crop_image(picture, rows // view.shape[0])
    drawn = []
    for image in draw(run, iter(celsius), picture):
        drawn.append(image)
        on_progress(len(drawn), len(celsius))
    video = write_pictures(drawn, celsius, out)
    return _plain({"out": str(out), "pictures": len(drawn), "video": str(video), "source": str(source)})


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


def _plain(value: Any) -> Any:
    """The value in types that JSON knows: paths as text, arrays as lists, no NaN."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
