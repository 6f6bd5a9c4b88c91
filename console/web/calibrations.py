"""Calibrations of the rig, made from the page and kept beside the folder of clips, where `lrt build-dataset` looks.

The one in use is calibration.json. A new one takes its place, and the old one stays as calibration-<time>.json; but a
doubtful one (WARN) does not drive out a good one (PASS): it is kept as calibration-warn.json, to be looked at.
"""

import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ... import LrtError
from ...calibration.geometry import Calibration, CalibrationError, read_calibration
from ...rig.health import RED
from ...rig.settings import Rig
from .child import Child
from .library import WHOLE, Library, Shown
from .refusals import RefusedError

_SCRATCH = ".calibrating-"
IN_USE, DOUBTFUL = "calibration.json", "calibration-warn.json"
_ENDINGS = (".json", ".png", ".html")
FRAMES, FEWEST, MOST_FRAMES = 200, 20, 1000
_MOST_CLIPS = 64
MASKS = {
    "small": "the small network that ships with lrt: trained on the twin",
    "maskrcnn": "torchvision's Mask R-CNN, as in the paper: fetches 170 MB once",
    "selfie": "MediaPipe's selfie segmenter: quick on a Pi, for one person who stands near",
}
SELFIE_MODELS = ("selfie_segmentation.tflite", "mediapipe-*.whl")  # as it may lie beside the calibrations


class Calibrations:
    """What is calibrated, and the calibration under way. On the event loop, but for `current` and `tell`."""

    def __init__(self, rig: Rig, library: Library) -> None:
        self._rig, self._library = rig, library
        self._folder = library.folder.parent
        self._task: asyncio.Task[None] | None = None
        self._progress: dict[str, Any] = {}
        self._since_s = 0.0
        self._error: str | None = None
        self._shown: Path | None = None  # the last one made here
        self._read: tuple[tuple[Path, int], Calibration] | None = None

    # -- what there is -----------------------------------------------------------------------------------------------

    def current(self) -> Calibration | None:
        """The one in use; None without one that can be read."""
        return self._load(self._folder / IN_USE)

    def state(self) -> dict[str, Any] | None:
        """The one in use, as the page's state has it."""
        found = self.current()
        if found is None:
            return None
        sensor = self._rig.settings.sensor
        return {
            "name": IN_USE,
            "verdict": found.verdict,
            **{name: getattr(found, name) for name in ("tx", "ty", "s", "lens_k", "offset_ms")},
            "image_size": list(found.image_size),
            "rotate": sensor.rotation,
            "mirror": sensor.mirror,
        }

    def job(self) -> dict[str, Any] | None:
        """The calibration under way, as the page's state has it."""
        if self._task is None:
            return None
        done, total = self._progress["done"], self._progress["total"]
        left_s = None
        if 0 < done < total:
            left_s = round((time.monotonic() - self._since_s) / done * (total - done), 1)
        return {"kind": "calibrate", **self._progress, "left_s": left_s}

    def tell(self) -> dict[str, Any]:
        """Everything on the page about calibrating."""
        shown = self._library.shown()
        size = self._usual_size(shown)
        made = sorted(self._folder.glob("calibration*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        last = self._shown if self._shown is not None and self._shown.is_file() else self._folder / IN_USE
        return {
            "clips": [{"clip_id": each.summary.folder.name, **self._judge(each, size)} for each in shown],
            "masks": self._masks(),
            "calibrations": [
                {"name": path.name, "verdict": found.verdict, "made": _made(path)}
                for path in made
                if (found := self._load(path)) is not None
            ],
            "result": self._result(last),
            "error": self._error,
        }

    def beside(self, ending: str) -> Path:
        """The report (.html) or the overlay (.png) of the calibration that the page shows.

        Raises:
            RefusedError: there is none.
        """
        last = self._shown if self._shown is not None and self._shown.is_file() else self._folder / IN_USE
        path = last.with_suffix(ending)
        if not path.is_file():
            raise RefusedError("missing", "there is no report yet; calibrate first")
        return path

    def _load(self, path: Path) -> Calibration | None:
        try:
            stamp = (path, path.stat().st_mtime_ns)
            if path.name != IN_USE:
                return read_calibration(path)
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, read_calibration(path))
        except (OSError, CalibrationError):
            return None
        return self._read[1]

    @property
    def usual_masks(self) -> str:
        """Whose masks this rig takes unless told otherwise: the small network knows the twin and nobody else."""
        return "small" if self._rig.synthetic else "maskrcnn"

    def _masks(self) -> list[dict[str, Any]]:
        """Who may find people; what lacks something says what, and stands last."""
        lacks = dict.fromkeys(MASKS, _lacks_torch())
        fetch = f"needs its model in {self._folder}, and no PyTorch: hardware/PI.md says how to fetch it"
        lacks["selfie"] = fetch if self._selfie_model() is None else None
        return [
            {"name": name, "says": lack or MASKS[name], "available": lack is None, "default": name == self.usual_masks}
            for name, lack in sorted(lacks.items(), key=lambda each: each[1] is not None)
        ]

    def _selfie_model(self) -> Path | None:
        """The file of the selfie segmenter's model, or the package that it comes in; None where there is none."""
        return next((path for name in SELFIE_MODELS for path in sorted(self._folder.glob(name))), None)

    def _usual_size(self, shown: Sequence[Shown]) -> tuple[int, int] | None:
        """Of the newest clip's images: clips of another size cannot be calibrated with it."""
        sizes = (
            each.header.image_size
            for each in shown
            if each.header is not None and each.header.synthetic == self._rig.synthetic
        )
        return next((size for size in sizes if size is not None), None)

    def _judge(self, shown: Shown, size: tuple[int, int] | None) -> dict[str, Any]:
        why = self._refuse(shown, size)
        summary, level = shown.summary, shown.quality["level"] if shown.quality is not None else None
        tags = {name: getattr(summary, name) for name in ("clothing", "lighting", "occupants")}
        return {"usable": why is None, "why": why, **tags, "seconds": summary.seconds, "level": level}

    def _refuse(self, shown: Shown, size: tuple[int, int] | None) -> str | None:
        summary, header, quality = shown.summary, shown.header, shown.quality
        if header is None or summary.state not in WHOLE:
            return (
                f"it is {summary.state}" if summary.state != "cut" else "it was cut short: `lrt clips recover` mends it"
            )
        if header.synthetic != self._rig.synthetic:
            return "the twin made it" if header.synthetic else "a real rig made it, and this is the twin"
        if header.occupants == 0:
            return "nobody is in it"
        if header.image_size != size:
            return "its pictures have another size than the newest clip's"
        if quality is not None and quality["level"] == RED:
            return quality["says"]
        return None

    def _result(self, path: Path) -> dict[str, Any] | None:
        found = self._load(path)
        if found is None:
            return None
        return {
            "name": path.name,
            "in_use": path.name == IN_USE,
            **{name: getattr(found, name) for name in ("verdict", "advice", "tx", "ty", "s", "offset_ms", "overlap")},
            "sds": {name: found.to_json()[f"{name}_sd"] for name in ("tx", "ty", "s", "offset_ms")},
            "report": "/api/calibrate/report" if path.with_suffix(".html").is_file() else None,
            "overlay": "/api/calibrate/overlay.png" if path.with_suffix(".png").is_file() else None,
            "clips": list(found.clips),
            "made": _made(path),
        }

    # -- the one under way -------------------------------------------------------------------------------------------

    def start(self, clip_ids: Sequence[str], masks: str, frames: int, on_change: Any) -> None:
        """Calibrate from these clips, in a child.

        Args:
            on_change: called when it is through.

        Raises:
            RefusedError: one is under way; no clips, or one that will not do; no such masks here.
        """
        if self._task is not None:
            raise RefusedError("busy", "a calibration is under way; wait for it, or break it off")
        if not 1 <= len(clip_ids) <= _MOST_CLIPS:
            raise RefusedError("bad", f"choose 1 to {_MOST_CLIPS} clips")
        chosen = next((each for each in self._masks() if each["name"] == masks), None)
        if chosen is None or not chosen["available"]:
            raise RefusedError("bad", chosen["says"] if chosen else f"there are no masks called {masks[:20]}")
        folders = [self._library.find(clip_id) for clip_id in dict.fromkeys(clip_ids)]
        self._error, self._since_s = None, time.monotonic()
        self._progress = {"phase": "starting", "done": 0, "total": 0}
        self._task = asyncio.create_task(self._run(folders, masks, frames, on_change))

    async def cancel(self) -> None:
        """Break off the one under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, folders: Sequence[Path], masks: str, frames: int, on_change: Any) -> None:
        child = Child("lrt.console.web.calibrating")
        for left in self._folder.glob(f"{_SCRATCH}*"):  # of a daemon that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            with TemporaryDirectory(prefix=_SCRATCH, dir=self._folder) as scratch:
                out = Path(scratch) / IN_USE
                model = self._selfie_model() if masks == "selfie" else None
                asked = {
                    "clips": [str(folder) for folder in folders],
                    "out": str(out),
                    "masks": masks,
                    "weights": None if model is None else str(model),
                    "frames": frames,
                }
                try:
                    await child.start()
                    await child.send(asked)
                    while "result" not in (said := (await child.receive())[0]):
                        if said["phase"] != self._progress["phase"]:
                            self._since_s = time.monotonic()
                            on_change()
                        self._progress = said
                finally:
                    await child.close()
                self._shown = self._keep(out)
        except asyncio.CancelledError:
            self._error = "the calibration was broken off"
        except LrtError as error:
            self._error = str(error)
        except OSError as error:
            self._error = f"the calibration cannot be kept in {self._folder} ({error.strerror})"
        finally:
            self._task = None
            on_change()

    def _keep(self, out: Path) -> Path:
        """Move what was made to where it stays; its .json last."""
        before = self.current()
        verdict = json.loads(out.read_bytes())["verdict"]
        doubted = verdict != "PASS" and before is not None and before.verdict == "PASS"
        kept = self._folder / (DOUBTFUL if doubted else IN_USE)
        if kept.name == IN_USE and kept.exists():
            aside = self._folder / f"calibration-{datetime.fromtimestamp(kept.stat().st_mtime, UTC):%Y%m%d-%H%M%S}.json"
            for ending in _ENDINGS:
                if kept.with_suffix(ending).is_file():
                    kept.with_suffix(ending).rename(aside.with_suffix(ending))
        for ending in reversed(_ENDINGS):
            out.with_suffix(ending).replace(kept.with_suffix(ending))
        return kept


def _lacks_torch() -> str | None:
    """What a network that PyTorch runs lacks here."""
    if find_spec("torch") is not None and find_spec("torchvision") is not None:
        return None
    return "needs PyTorch on this computer: pip install 'lrt[train]'; or calibrate on another one"


def _made(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
