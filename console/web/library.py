"""The clips on the disk, as a phone sees them: pictures, frames, what the rules say of them, and their tags.

A clip is named by its id and found by it alone: the id is matched whole, and its folder must lie in the clips' folder.
The rules look at one clip at a time, in a thread, and never while one is recorded.
"""

import base64
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ... import LrtError
from ...dataset.show import colour_heat, scale_heat
from ...rig.clip import LOG_NAME, Clip, ClipError, ClipHeader, ClipSummary, check_clip_id, list_clips, open_clip
from ...rig.health import AMBER, GREEN, RED
from ...rig.jpeg import decode_jpeg
from ...rig.records import QUARTER_C
from ..people import mend_tags
from ..quality import verify_clips
from ..recording import remove_clips
from .copying import Download, zip_folder
from .refusals import RefusedError
from .streams import WIDEST, pack_jpeg, shrink

THUMB_WIDE = 320  # px
_INSET = 0.34  # of the thumbnail's height: the heat in its corner
_OPEN = 2  # clips kept open: one is played, one is drawn from
_THUMBS = 64
_MOST_DOWNLOADS = 2
_LEVELS = {"ok": GREEN, "warn": AMBER, "fail": RED}
WHOLE = ("finished", "recovered")  # states of clips that can be used

Stamp = tuple[str, int]  # of a clip's folder: it changes when its tags or its log do


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip in the page's list, with what is asked of it elsewhere."""

    summary: ClipSummary
    header: ClipHeader | None
    quality: dict[str, Any] | None


class Library:
    """The folder of clips. May be used from several threads.

    Args:
        folder: of the clips; need not be there yet.
        is_recording: whether a clip is being recorded at this moment.
        on_quality: told, from the looking thread, of a clip id and what the rules say of it.
    """

    def __init__(
        self,
        folder: Path,
        is_recording: Callable[[], bool],
        on_quality: Callable[[str, dict[str, Any]], None] = lambda *_: None,
    ) -> None:
        self.folder, self._is_recording, self._on_quality = folder, is_recording, on_quality
        self._lock = threading.Lock()
        self._open: OrderedDict[Stamp, Clip] = OrderedDict()
        self._thumbs: OrderedDict[Stamp, bytes] = OrderedDict()
        self._quality: dict[Stamp, dict[str, Any]] = {}
        self._downloads = threading.BoundedSemaphore(_MOST_DOWNLOADS)

    # -- the list --------------------------------------------------------------------------------------------------

    def shown(self) -> list[Shown]:
        """Every clip, the newest first."""
        if not self.folder.is_dir():
            return []
        shown = [self._show(summary) for summary in list_clips(self.folder)]
        return sorted(shown, key=_begun_ns, reverse=True)

    def list(self) -> list[dict[str, Any]]:
        """Every clip, the newest first, as the page has it."""
        return [_tell(each) for each in self.shown()]

    def _show(self, summary: ClipSummary) -> Shown:
        try:
            header = ClipHeader.read(summary.folder)
            quality = self._quality.get(_stamp(summary.folder))
        except (LrtError, OSError):  # unreadable, or taken away at this moment
            return Shown(summary, None, None)
        return Shown(summary, header, quality)

    # -- one clip --------------------------------------------------------------------------------------------------

    def find(self, clip_id: str) -> Path:
        """The folder of a clip.

        Raises:
            RefusedError: it is no clip's id, or there is none of that name.
        """
        try:
            check_clip_id(clip_id)
        except ClipError:
            raise RefusedError("bad", "that is no clip's id", 422) from None
        folder = self.folder / clip_id
        if not folder.is_dir():
            raise RefusedError("missing", f"clip {clip_id} is not there (any more)")
        if not folder.resolve().is_relative_to(self.folder.resolve()):
            raise RefusedError("bad", "that clip lies elsewhere", 422)
        return folder

    def open(self, clip_id: str) -> Clip:
        """A whole clip, kept open for a while.

        Raises:
            RefusedError, ClipError: it is not there, not whole, or being recorded.
        """
        folder = self.find(clip_id)
        stamp = _stamp(folder)
        with self._lock:
            clip = self._open.pop(stamp, None)
        clip = clip or open_clip(folder)
        with self._lock:
            self._open[stamp] = clip
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return clip

    def thumb(self, clip_id: str) -> bytes:
        """A small JPEG: the picture in the middle of a clip, and its heat in a corner."""
        stamp = _stamp(self.find(clip_id))
        with self._lock:
            if stamp in self._thumbs:
                return self._thumbs[stamp]
        clip = open_clip(self.folder / clip_id)  # not kept open: a list asks for every clip's
        drawn = pack_jpeg(_draw_thumb(clip))
        with self._lock:
            self._thumbs[stamp] = drawn
            while len(self._thumbs) > _THUMBS:
                self._thumbs.popitem(last=False)
        return drawn

    def frames(self, clip_id: str) -> dict[str, Any]:
        """All heat of a clip and the times of its pictures, s since its first record."""
        clip = self.open(clip_id)
        heat_ns, images_ns = clip.heat_times_ns, clip.image_times_ns
        begun_ns = min((int(times[0]) for times in (heat_ns, images_ns) if times.size), default=0)
        raw = np.array([heatmap.raw for heatmap in clip.heatmaps()], np.int16).reshape(-1, 8, 8)
        low, high = scale_heat(raw * QUARTER_C)
        return {
            "count": len(raw),
            "times_s": ((heat_ns - begun_ns) / 1e9).round(3).tolist(),
            "image_times_s": ((images_ns - begun_ns) / 1e9).round(3).tolist(),
            "shape": [8, 8],
            "low": low,
            "high": high,
            "heat": base64.b64encode(clip.oriented(raw).astype("<i2").tobytes()).decode(),
        }

    def image(self, clip_id: str, number: int) -> bytes:
        """The picture nearest to a heatmap, as a JPEG no wider than the stream's.

        Raises:
            RefusedError: there is no such heatmap, or no picture at all.
        """
        clip = self.open(clip_id)
        return shrink(clip.jpeg(nearest_image(clip, number)), (clip.header.image_size or (0, 0))[0], WIDEST)

    def mend(self, clip_id: str, tags: dict[str, Any]) -> dict[str, Any]:
        """Correct a clip's tags.

        Raises:
            LrtError: see `console.people.mend_tags`.
        """
        return mend_tags(self.find(clip_id), **tags)

    def remove(self, clip_id: str) -> None:
        """Take a clip from the disk, for good.

        Raises:
            RefusedError, ClipError: it is not there, or being recorded.
        """
        folder = self.find(clip_id)
        remove_clips([folder])
        with self._lock:
            for kept in (self._open, self._thumbs):
                for stamp in [stamp for stamp in kept if stamp[0] == clip_id]:
                    del kept[stamp]

    # -- a copy ----------------------------------------------------------------------------------------------------

    def download(self, clip_id: str) -> Download:
        """A clip as a ZIP file, in pieces; the clip itself is not compressed again.

        Raises:
            RefusedError: it is not there, one is being recorded, or too many are copied already.
        """
        folder = self.find(clip_id)
        header = ClipHeader.read(folder)
        if header.state not in WHOLE:
            raise RefusedError("bad", f"clip {clip_id} is not whole; `lrt clips recover` mends it")
        if self._is_recording():
            raise RefusedError("busy", "a clip is being recorded: copies wait until it has ended")
        if not self._downloads.acquire(blocking=False):
            raise RefusedError("rate", f"{_MOST_DOWNLOADS} copies are under way; wait until one is done", 503)
        return Download(zip_folder(folder), self._downloads.release)

    # -- what the rules say ----------------------------------------------------------------------------------------

    def quality_of(self, clip_id: str) -> dict[str, Any] | None:
        """What the rules say of a clip; None while it has not been looked at."""
        try:
            return self._quality.get(_stamp(self.folder / clip_id))
        except OSError:
            return None

    def look_at_one(self) -> bool:
        """Hold one clip that was not looked at yet against the rules; whether there was one. Not while recording."""
        if self._is_recording():
            return False
        for each in self.shown():
            if each.quality is None and each.header is not None and each.summary.state in WHOLE:
                folder = each.summary.folder
                try:
                    stamp = _stamp(folder)
                except OSError:
                    continue
                try:
                    quality = judge(folder)
                except OSError:  # taken away meanwhile
                    continue
                except Exception:  # a bug, in one clip's odd content: the others are looked at all the same
                    logging.getLogger(__name__).exception("clip %s could not be looked at", folder.name)
                    quality = {"level": RED, "says": "The rules could not look at it.", "findings": []}
                self._quality[stamp] = quality
                self._on_quality(each.summary.clip_id, quality)
                return True
        return False


def judge(folder: Path) -> dict[str, Any]:
    """What the rules say of a clip: level, one line, and every finding that is not ok."""
    try:
        report = verify_clips([folder])["clips"][0]
    except LrtError as error:
        finding = {"level": RED, "rule": "whole", "says": str(error), "do": "restore a copy, or record it again"}
        return {"level": RED, "says": str(error), "findings": [finding]}
    findings = [
        {"level": _LEVELS[found["level"]], "rule": found["rule"], "says": found["says"], "do": found["do"]}
        for found in report["findings"]
        if found["level"] != "ok"
    ]
    level = _LEVELS[report["level"]]
    worst = next((found for found in findings if found["level"] == level), None)
    says = "Fit for a dataset." if worst is None else f"{worst['rule']}: {worst['says']}"
    return {"level": level, "says": says, "findings": findings}


def nearest_image(clip: Clip, heatmap: int) -> int:
    """Which picture is nearest in time to a heatmap.

    Raises:
        RefusedError: there is no such heatmap, or no picture at all.
    """
    if not 0 <= heatmap < len(clip.heat_times_ns) or not len(clip.image_times_ns):
        raise RefusedError("missing", f"clip {clip.header.clip_id} has no picture to heatmap {heatmap}")
    return int(np.abs(clip.image_times_ns - clip.heat_times_ns[heatmap]).argmin())


def _stamp(folder: Path) -> Stamp:
    return folder.name, max((folder / name).stat().st_mtime_ns for name in ("clip.json", LOG_NAME))


def _begun_ns(shown: Shown) -> int:
    clocks = shown.header.clocks if shown.header is not None else {}
    return clocks.get("start", {}).get("real_ns", 0)


def _tell(shown: Shown) -> dict[str, Any]:
    summary, header = shown.summary, shown.header
    begun_ns = _begun_ns(shown)
    return {
        "clip_id": summary.folder.name,
        "clothing": summary.clothing,
        "lighting": summary.lighting,
        "occupants": summary.occupants,
        "consent": header.consent if header is not None else "",
        "room": header.room if header is not None else "",
        "tags": list(header.tags) if header is not None else [],
        "seconds": None if summary.seconds is None else round(summary.seconds, 2),
        "bytes": summary.bytes,
        "state": summary.state,
        "synthetic": summary.synthetic,
        "recorded": datetime.fromtimestamp(begun_ns / 1e9, UTC).isoformat(timespec="seconds") if begun_ns else None,
        "quality": shown.quality,
    }


def _draw_thumb(clip: Clip) -> np.ndarray:
    """(H, W, 3) uint8, RGB."""
    heatmaps = clip.heatmaps()
    if not len(clip.image_times_ns):
        raise RefusedError("missing", f"clip {clip.header.clip_id} has no picture")
    number = nearest_image(clip, len(heatmaps) // 2) if heatmaps else len(clip.image_times_ns) // 2
    width = (clip.header.image_size or (THUMB_WIDE, 0))[0]
    pixels = decode_jpeg(clip.jpeg(number), reduce=2 if width >= 2 * THUMB_WIDE else 1)
    height = max(1, round(pixels.shape[0] * THUMB_WIDE / pixels.shape[1]))
    drawn = cv2.resize(pixels, (THUMB_WIDE, height), interpolation=cv2.INTER_AREA)
    if heatmaps:
        celsius = clip.oriented(np.stack([heatmap.celsius for heatmap in heatmaps]))
        side = round(height * _INSET)
        heat = colour_heat(celsius[len(celsius) // 2], *scale_heat(celsius))
        drawn[-side - 4 : -4, 4 : 4 + side] = cv2.resize(heat, (side, side), interpolation=cv2.INTER_NEAREST)
    return drawn
