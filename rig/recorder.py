"""A recording: what the rig gives goes into a clip, or several when it grows; and whatever was lost is said there."""

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .clip import LOG_NAME, ClipError, ClipHeader, ClipWriter, check_clip_id
from .records import Event, Heatmap, Jpeg
from .settings import RecordSettings
from .timing.clock import SECOND_NS, Clock
from .timing.pairing import pair_nearest
from .timing.stamps import fit_stamps

_PAIR_GAP_NS = 50_000_000  # a heatmap with no image nearer than half its own period has no pair
_END_FRAMES = 2  # a stream that stops longer before the recording's end has lost something
_UNDER_WAY_NS = 500_000_000  # or may still be on its way, where the recording is ended by hand
_GAPS = {Heatmap: ("thermal-gap", "heatmaps missed"), Jpeg: ("image-gap", "images missing")}


@dataclass(frozen=True)
class Recording:
    """What came of a recording.

    Attributes:
        header: of its last clip.
        clips: the folders of its clips: one, or the parts of a long recording.
        ended: why it ended, a phrase.
        dropped: images let go because the disk was too slow.
        missed: heatmaps that the sensor made and nobody read.
        lost_images: images that the camera took and nobody had.
        torn: reads that mixed two frames; caught and repeated.
        pairs: heatmaps with an image at most 50 ms off.
        pair_error_ms_*: of those pairs, how far off; NaN without any.
        bytes: of the clips' logs.
    """

    header: ClipHeader
    clips: tuple[Path, ...]
    ended: str
    seconds: float
    heatmaps: int
    images: int
    events: int
    dropped: int
    missed: int
    lost_images: int
    torn: int
    pairs: int
    pair_error_ms_mean: float
    pair_error_ms_p50: float
    pair_error_ms_p95: float
    pair_error_ms_max: float
    bytes: int

    def summary(self) -> dict[str, Any]:
        """All but the header, in values that JSON can hold."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "header"}
        found["clips"] = [str(folder) for folder in self.clips]
        return {"clip": str(self.clips[0]), "synthetic": self.header.synthetic, **found}


class Recorder:
    """A recording under way. Its methods may be called from several threads, by one at a time.

    Args:
        root: the folder of clips; made if need be.
        header: the tags and settings of the clip.
        clock: the rig's.
        settings: the disk's reserve and the size at which a clip is split.
        start_ns: when it begins: the present, or earlier for records that were kept from before.
        seconds: how long; later records are left out. None: until it is concluded.

    Raises:
        ClipError: the clip is there already, its id leaves no room for `-part2`, or the disk is full.
    """

    def __init__(
        self,
        root: Path,
        header: ClipHeader,
        clock: Clock,
        settings: RecordSettings,
        start_ns: int | None = None,
        seconds: float | None = None,
    ) -> None:
        check_clip_id(_part_id(header.clip_id, 999))
        self._root, self._header, self._clock, self._settings = root, header, clock, settings
        self.start_ns = clock.now_ns() if start_ns is None else start_ns
        self.until_ns = None if seconds is None else clock.now_ns() + round(seconds * SECOND_NS)
        if self.disk_is_low():
            raise ClipError(
                f"the disk of {root} has {self._free_bytes() / 1e6:.0f} MB left, and {settings.reserve_mb} MB are kept "
                "in reserve; make room, or lower reserve_mb in the rig file's [record]"
            )
        self._writer = ClipWriter(root, header, clock)
        self._split_bytes = settings.split_bytes
        self._folders: list[Path] = [self._writer.folder]
        self._last: dict[type, int] = {}  # the last sequence number of heatmaps and of images
        self._stamps_ns: dict[type, int] = {}  # and their stamps
        self._bounds: list[tuple[int, int, int]] = []  # of the clip at hand: sequence, earliest, latest of its heatmaps
        self._image_ns: list[int] = []
        self._pair_errors: list[np.ndarray] = []  # of the clips before, ms
        self._bytes = 0  # of the clips before
        self.heatmaps = self.images = self.events = self.dropped = 0
        self.missed = {Heatmap: 0, Jpeg: 0}

    def write(self, record: Heatmap | Jpeg | Event) -> None:
        """Add a record, and say so if some are missing before it.

        Raises:
            ClipError: the disk is full or gone, or the images have changed their size.
        """
        late = self.until_ns is not None and record.timestamp_ns >= self.until_ns
        if isinstance(record, Event):
            self._writer.write_event(record)
            self.events += 1
        elif not late and record.timestamp_ns >= self.start_ns:
            self._note_gap(record)
            if isinstance(record, Heatmap):
                self._writer.write_heatmap(record)
                self._bounds.append((record.sequence, record.earliest_ns, record.latest_ns))
                self.heatmaps += 1
            else:
                self._writer.write_image(record)
                self._image_ns.append(record.timestamp_ns)
                self.images += 1
        if self._writer.size_bytes >= self._split_bytes:
            self._split()

    def sync(self) -> None:
        """Have the disk hold everything written so far.

        Raises:
            ClipError: the disk is full or gone.
        """
        self._writer.sync()

    def note_ends(self, frame_ns: dict[type, int]) -> None:
        """Say of each stream whether its end is missing: no later frame will show the gap.

        Args:
            frame_ns: from one heatmap, and from one image, to the next.
        """
        now_ns = self._clock.now_ns()
        due = self.until_ns is not None and now_ns > self.until_ns  # then what was late has come
        end_ns = self.until_ns if self.until_ns is not None and due else now_ns
        for kind, (gap, what) in _GAPS.items():
            since_ns = end_ns - self._stamps_ns.get(kind, self.start_ns)
            missing = round(since_ns / frame_ns[kind]) - 1
            if missing > _END_FRAMES and (due or since_ns > _UNDER_WAY_NS):
                self.missed[kind] += missing
                self.say(gap, f"{missing} {what} at the end.")

    def say(self, kind: str, detail: str) -> None:
        """Write an event of this moment."""
        self.write(Event(self._clock.now_ns(), kind, detail))

    @property
    def name(self) -> str:
        """Of the recording: its first clip's id."""
        return self._header.clip_id

    @property
    def header(self) -> ClipHeader:
        """Its tags and settings, as it was begun with."""
        return self._header

    @property
    def clip_id(self) -> str:
        """Of the clip at hand."""
        return self._writer.folder.name

    @property
    def seconds(self) -> float:
        """How long it is by now."""
        now_ns = self._clock.now_ns() if self.until_ns is None else min(self._clock.now_ns(), self.until_ns)
        return (now_ns - self.start_ns) / SECOND_NS

    def disk_is_low(self) -> bool:
        """Whether the disk has no more than its reserve left."""
        return self._free_bytes() < self._settings.reserve_bytes

    def conclude(self, ended: str, torn: int = 0) -> Recording:
        """Finish the clip and count what was written.

        Args:
            ended: why, a phrase.
            torn: reads that the sensor's driver had to repeat.

        Raises:
            ClipError: the disk is full or gone.
        """
        seconds = self.seconds
        header = self._finish_clip(self._writer, ended)
        errors = np.concatenate(self._pair_errors)
        mean, p50, p95, most = (
            (errors.mean(), *np.percentile(errors, (50, 95)), errors.max()) if errors.size else (np.nan,) * 4
        )
        return Recording(
            header=header,
            clips=tuple(self._folders),
            ended=ended,
            seconds=seconds,
            heatmaps=self.heatmaps,
            images=self.images,
            events=self.events,
            dropped=self.dropped,
            missed=self.missed[Heatmap],
            lost_images=self.missed[Jpeg],
            torn=torn,
            pairs=len(errors),
            pair_error_ms_mean=float(mean),
            pair_error_ms_p50=float(p50),
            pair_error_ms_p95=float(p95),
            pair_error_ms_max=float(most),
            bytes=self._bytes,
        )

    def leave(self, error: BaseException) -> None:
        """Do for the clip what can be done after an error: finish it, or keep what the disk holds for recovery."""
        self._writer.__exit__(type(error), error, None)

    def _note_gap(self, record: Heatmap | Jpeg) -> None:
        last = self._last.get(type(record))
        if last is not None and record.sequence < last:  # late: it was counted as missing
            self.missed[type(record)] -= 1
            return
        self._last[type(record)], self._stamps_ns[type(record)] = record.sequence, record.timestamp_ns
        if last is not None and record.sequence - last > 1:
            missing = record.sequence - last - 1
            self.missed[type(record)] += missing
            kind, what = _GAPS[type(record)]
            self.say(kind, f"{missing} {what} before number {record.sequence}.")

    def _split(self) -> None:
        """Go on in another clip; where that cannot be begun, in this one."""
        part = _part_id(self._header.clip_id, len(self._folders) + 1)
        before = self._writer
        try:
            after = ClipWriter(self._root, replace(self._header, clip_id=part, follows=before.folder.name), self._clock)
        except ClipError as error:
            self._split_bytes += self._settings.split_bytes
            self.say("split", f"The clip should have gone on in {part}: {error}.")
            return
        before.write_event(Event(self._clock.now_ns(), "split", f"The recording goes on in {part}."))
        self.events += 1
        self._writer = after
        self._folders.append(after.folder)
        self._finish_clip(before, f"split: goes on in {part}")

    def _finish_clip(self, writer: ClipWriter, ended: str) -> ClipHeader:
        header = writer.finish(ended)
        sequence, earliest_ns, latest_ns = np.array(self._bounds, np.int64).reshape(-1, 3).T
        heat_ns = fit_stamps(sequence, earliest_ns, latest_ns)
        _, _, error_ns = pair_nearest(heat_ns, np.sort(np.array(self._image_ns, np.int64)), _PAIR_GAP_NS)
        self._pair_errors.append((np.abs(error_ns) / 1e6).astype(np.float32))
        self._bytes += (writer.folder / LOG_NAME).stat().st_size
        self._bounds, self._image_ns = [], []
        return header

    def _free_bytes(self) -> int:
        folder = self._root.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


def _part_id(clip_id: str, number: int) -> str:
    return f"{clip_id}-part{number}"
