"""Clips recorded on a disk whose every write is logged, and marks on that disk of what had been promised by then.

    power_record.py FOLDER DEVICE SECONDS [--careless]

The recorder is lrt's own, as `lrt capture` runs it, clip after clip. It is watched, not changed: whenever a sync or a
finished clip has returned, that is a promise. The marks (power_marks.py) say the time, the newest record that the
devices gave, and what was promised. --careless leaves the syncs out: the control, which has to lose what it promised.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from checks import write_rig
from power_marks import Marks

from lrt.rig.clip import ClipHeader, ClipWriter
from lrt.rig.clip import log as clip_log
from lrt.rig.settings import load_rig, open_rig
from lrt.rig.station import Station

LENGTHS_S = (2.3, 5.1, 3.4, 7.7, 1.2)  # of the clips, in turn


def watch(marks: Marks) -> None:
    """Note the promises of every clip's writer."""
    sync, finish = ClipWriter.sync, ClipWriter.finish

    def noted_sync(self: ClipWriter) -> None:
        held = dict(self._counts)
        sync(self)
        marks.tell(synced={"clip": self.folder.name, **held})

    def noted_finish(self: ClipWriter, ended: str = "stopped") -> ClipHeader:
        header = finish(self, ended)
        marks.tell(finished={"clip": header.clip_id, "sha256": header.sha256, **header.counts}, clip="")
        marks.write()
        return header

    ClipWriter.sync, ClipWriter.finish = noted_sync, noted_finish


def main() -> None:
    folder, device, seconds = sys.argv[1:4]
    if "--careless" in sys.argv:
        clip_log._sync_data = lambda _: None
        os.fsync = lambda _: None
    settings = load_rig(str(write_rig(Path("/run/power/rig.toml"))))
    clips, made = Path(folder), []
    marks = Marks(device, clip="", begun_ns=0, newest_ns=0, synced={}, finished={})
    watch(marks)
    with open_rig(settings) as rig, marks:
        station = Station(rig)
        station.listeners.append(lambda record: marks.tell(newest_ns=record.timestamp_ns))
        stop = threading.Event()
        work = threading.Thread(target=station.run, args=(stop,))
        work.start()
        end_s = time.monotonic() + float(seconds)
        while time.monotonic() < end_s:
            clip_id = f"cut-{len(made):03d}"
            header = ClipHeader(clip_id, "red", "bright", 1, "TEST", settings.as_dict())
            marks.tell(clip=clip_id, begun_ns=time.monotonic_ns())
            station.start(clips, header)
            time.sleep(LENGTHS_S[len(made) % len(LENGTHS_S)])
            done = station.stop()
            made.append([clip_id, done.heatmaps, done.images])
        stop.set()
        work.join()
    print(json.dumps({"clips": made}))


main()
