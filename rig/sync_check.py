"""The sync-check at a station: somebody waves, and the time between heat and picture is measured."""

import threading
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import tomlkit
from tomlkit.exceptions import TOMLKitError

from .. import write_whole
from .jpeg import decode_jpeg
from .records import Event, Heatmap, Jpeg
from .settings import SettingsError, SyncSettings
from .timing.stamps import fit_stamps
from .timing.sync import ImageMotion, Offset, SyncError, find_offset, measure_heat

SECONDS = 30.0
_REDUCE = 8  # 640 px become the 80 that are looked at


class MotionWatch:
    """Takes notice of what moves; give its `see` to the station's listeners. It keeps no picture."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heat: list[Heatmap] = []
        self._images = ImageMotion()

    def see(self, record: Heatmap | Jpeg | Event) -> None:
        """Take notice of a record."""
        if isinstance(record, Heatmap):
            with self._lock:
                self._heat.append(record)
        elif isinstance(record, Jpeg):
            reduce = _REDUCE if record.size[0] >= 8 * 40 else 1
            try:
                gray = decode_jpeg(record.data, reduce=reduce, gray=True)
            except ValueError:  # a damaged picture is a gap
                return
            with self._lock:
                self._images.add(record.timestamp_ns, gray)

    def measure(self) -> Offset:
        """The time offset by all that was seen.

        Raises:
            SyncError: it does not tell; one line that says what to do.
        """
        with self._lock:
            heat = list(self._heat)
            image_ns, image_energy = self._images.measured()
        if not heat:
            raise SyncError("no heatmap has come; run `lrt check`")
        heat_ns = fit_stamps(*np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h in heat], np.int64).T)
        heat_ns, heat_energy = measure_heat(heat_ns, np.stack([each.raw for each in heat]))
        return find_offset(heat_ns, heat_energy, image_ns, image_energy)


def as_settings(offset: Offset) -> SyncSettings:
    """What a rig file keeps of a measurement, dated today."""
    return SyncSettings(
        offset_ms=round(offset.offset_ms, 1),
        spread_ms=round(offset.spread_ms, 1),
        correlation=round(offset.correlation, 2),
        measured=date.today().isoformat(),
    )


def write_sync(path: Path, sync: SyncSettings) -> None:
    """Put a measurement into a rig file's `[sync]`; everything else in it, comments too, stays as it is.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        table = document.setdefault("sync", tomlkit.table())
        table.update(asdict(sync))
        write_whole(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise SettingsError(
            f"rig file {path} cannot be written ({error.strerror or error}); put this in its [sync] "
            f"yourself: offset_ms = {sync.offset_ms}"
        ) from error
    except (TOMLKitError, ValueError) as error:
        raise SettingsError(f"rig file {path} is not TOML: {error}") from error
