"""Recording, as a command and a page call it: capture, checks, and the clips that came of it.

Each function opens what its stage needs, hands it to the folder that does the work, and says the result in values that
JSON can hold. The decisions are made in those folders, not here. What it needs it imports when it is called: to ask the
daemon must not wait for numpy.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .results import Result, StageError, Update, plain, silent

TWIN_SECONDS = 30.0  # of a twin's clip when no length is given: by its own clock it would never end
CLIPS = Path("clips")


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
    from ..rig.door import daemon_runs

    stop = stop or threading.Event()
    tagged: Result = {"clip_id": clip_id, "clothing": clothing, "lighting": lighting, "occupants": occupants}
    tagged |= {"consent": consent, "room": room, "tags": list(tags)}
    if rig is None and daemon_runs():
        return _capture_by_daemon({**tagged, "seconds": seconds}, out, stop, on_progress, say)
    from ..rig.clip import ClipHeader, recover_cut_clips
    from ..rig.settings import TwinScene, open_rig
    from ..rig.station import record
    from .people import admit_clip

    header = ClipHeader(**tagged, rig={})
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

    if rig is None and daemon_runs():
        return {**ask({"do": "check"}), "daemon": True}
    from ..rig.health import Watch
    from ..rig.settings import TwinScene, open_rig
    from ..rig.station import Station

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
