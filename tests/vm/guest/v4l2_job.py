"""Cameras of a real kernel: the twin's pictures through v4l2loopback, then vivid's own, with faults.

v4l2_job.py SCENE.npz      the feeder hands that scene's pictures to /dev/video0 meanwhile
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from checks import CONTROL, Checks, read_jpegs, sh

from lrt.rig.camera.opencv import OpenCVCamera
from lrt.rig.records import Event, Image, Jpeg, RigError
from lrt.rig.timing.clock import SystemClock

SECONDS = 6.0
Ages = list[float]


def watch(camera: OpenCVCamera, seconds: float) -> tuple[list[Image | Jpeg], Ages, list[Event], str]:
    """Frames, how old each was on arrival [ms], events, and the error that ended it."""
    clock = SystemClock()
    frames: list[Any] = []
    ages: Ages = []
    events: list[Event] = []
    end_s = time.monotonic() + seconds
    said = ""
    try:
        while time.monotonic() < end_s:
            for frame in camera.poll():
                ages.append((clock.now_ns() - frame.timestamp_ns) / 1e6)
                frames.append(frame)
    except RigError as error:
        said = str(error)
    return frames, ages, events + camera.take_events(), said


def twin_pictures(checks: Checks, fed: set[bytes]) -> None:
    with OpenCVCamera(0, SystemClock(), (640, 360), 15) as camera:
        frames, ages, _, said = watch(camera, SECONDS)
        whole = sum(isinstance(frame, Jpeg) and frame.data in fed for frame in frames)
        checks.hold(
            "the twin's JPEGs arrive byte for byte", frames and whole == len(frames), f"{whole} of {len(frames)} {said}"
        )
        checks.hold(
            "stamps are the kernel's, of CLOCK_MONOTONIC",
            camera.stamps == "kernel" and min(ages) > -1,
            f"{camera.stamps}, age {np.median(ages):.1f} ms",
        )
        stamps = [frame.timestamp_ns for frame in frames]
        checks.hold("stamps ascend", (np.diff(stamps) > 0).all())
        lost = frames[-1].sequence - frames[0].sequence + 1 - len(frames)
        checks.hold(
            "few frames are lost, under emulation", lost <= 0.1 * len(frames), f"{lost} of {len(frames) + lost}"
        )
        checks.figures |= {
            "images": len(frames),
            "images_lost": lost,
            "age_ms_p50": float(np.median(ages)),
            "age_ms_max": max(ages),
        }
        CONTROL.write_text("cut-jpeg")
        frames, _, events, said = watch(camera, 1.5)
        CONTROL.write_text("")
        good = [frame for frame in frames if frame.data in fed]
        checks.hold(
            "a JPEG that was cut is left out, and an event says so",
            len(good) == len(frames) and events,
            [each.detail for each in events][:1],
        )
        frames, _, _, _ = watch(camera, 1.5)
        checks.hold("and it goes on with whole ones", frames)
        CONTROL.write_text("freeze-camera")
        began_s = time.monotonic()
        _, _, _, said = watch(camera, 8)
        CONTROL.write_text("")
        checks.hold(
            "a camera that stops is given up after 3 s, in one line",
            "3 s" in said and time.monotonic() - began_s < 7,
            said,
        )


def vivid(checks: Checks) -> None:
    _, said = sh("modprobe vivid n_devs=1 node_types=0x1 vid_cap_nr=5; udevadm settle")
    checks.hold("vivid's node is /dev/video5", Path("/dev/video5").exists(), said)
    clock = SystemClock()
    with OpenCVCamera(5, clock, (320, 180), 15) as camera:
        frames, ages, _, said = watch(camera, 3)
        checks.hold(
            "vivid's pictures come as RGB",
            frames and isinstance(frames[0], Image) and frames[0].pixels.ndim == 3,
            f"{len(frames)} frames {said}",
        )
        checks.hold(
            "stamps of the frame's end, in the future, are taken for the kernel's",
            camera.stamps == "kernel",
            f"age {np.median(ages):.1f} ms",
        )
        checks.figures["vivid_age_ms_end_of_frame"] = float(np.median(ages))
    sh("v4l2-ctl -d 5 -c timestamp_source=1")
    with OpenCVCamera(5, clock, (320, 180), 15) as camera:
        frames, ages, _, said = watch(camera, 3)
        checks.hold(
            "stamps of the exposure's start are past", frames and min(ages) > 0, f"age {np.median(ages):.1f} ms"
        )
        checks.figures["vivid_age_ms_start_of_exposure"] = float(np.median(ages))
        sh("v4l2-ctl -d 5 -c percentage_of_dropped_buffers=30")
        frames, _, _, said = watch(camera, 5)
        sh("v4l2-ctl -d 5 -c percentage_of_dropped_buffers=0")
        lost = frames[-1].sequence - frames[0].sequence + 1 - len(frames)
        checks.hold("buffers that the driver drops are counted as lost", lost >= 3, f"{lost} of {lost + len(frames)}")
        sh("v4l2-ctl -d 5 -c inject_v4l2_buf_flag_error=1")
        frames, _, events, said = watch(camera, 3)
        checks.hold(
            "a buffer that the kernel marks as bad does not end it",
            len(frames) > 5 and not said,
            f"{len(frames)} frames {'; '.join([said, *(each.detail for each in events)])}",
        )
        sh("v4l2-ctl -d 5 -c inject_fatal_streaming_error=1")
        began_s = time.monotonic()
        frames, _, _, said = watch(camera, 10)
        took_s = time.monotonic() - began_s
        checks.hold(
            "a fatal streaming error ends it within 5 s, in one line", said and took_s < 6, f"{took_s:.1f} s: {said}"
        )
    again = "after a fatal streaming error it is opened again"
    with checks.trying(again), OpenCVCamera(5, clock, (320, 180), 15) as camera:
        checks.hold(again, watch(camera, 2)[0])
        sh("v4l2-ctl -d 5 -c disconnect=1")
        began_s = time.monotonic()
        _, _, _, said = watch(camera, 10)
        took_s = time.monotonic() - began_s
        checks.hold(
            "a camera that is unplugged is given up, in one line", said and took_s < 6, f"{took_s:.1f} s: {said}"
        )
    sh("rmmod vivid")
    try:
        OpenCVCamera(5, clock).close()
        said = "opened"
    except RigError as error:
        said = str(error)
    checks.hold("a camera that is not there is named", "/dev/video5 is not there" in said, said)
    sh("modprobe vivid n_devs=1 node_types=0x1 vid_cap_nr=5; udevadm settle")
    sh("v4l2-ctl -d 5 -c inject_vidioc_streamon_error=1")
    try:
        with OpenCVCamera(5, clock, (320, 180), 15) as camera:
            said = f"opened, {len(watch(camera, 1)[0])} frames"
    except RigError as error:
        said = str(error)
    checks.hold("a stream that will not start ends in one line, or starts at the second try", said, said)
    _, group = sh("stat -c %G:%a /dev/video5")
    checks.hold("/dev/video5 belongs to group video", group == "video:660", group)
    sh("rmmod vivid")


def main() -> None:
    fed = set(read_jpegs(sys.argv[1]))
    checks = Checks()
    with checks.trying("the twin's pictures through v4l2loopback"):
        twin_pictures(checks, fed)
    with checks.trying("vivid"):
        vivid(checks)
    checks.answer()


if __name__ == "__main__":
    main()
