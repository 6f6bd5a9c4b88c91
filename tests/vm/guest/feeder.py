"""Sensor and camera of the machine: hands the twin's registers and pictures to the kernel, each when it is due.

    feeder.py SCENE.npz SECONDS [--no-camera] [--no-sensor] [--control FILE]

The scene goes round. While --control holds a word, something is wrong: `freeze-sensor`, `freeze-camera`, `cut-jpeg`.
Ends after SECONDS, or on SIGTERM; the last line is how late it was, as JSON.
"""

import argparse
import fcntl
import json
import os
import signal
import struct
import time
from pathlib import Path

import numpy as np
from checks import read_jpegs

REGISTERS = "/sys/devices/platform/lrt_i2c.0/registers"
VIDEO = "/dev/video0"
VIDIOC_S_FMT, VIDIOC_S_PARM = 0xC0D05605, 0xC0CC5616
OUTPUT, FIELD_NONE = 2, 1


def open_video(path: str, size: tuple[int, int], rate: int) -> int:
    """v4l2loopback's producer side, set to Motion JPEG."""
    video = os.open(path, os.O_RDWR)
    pixels = struct.pack(
        "=IIIIIIII", *size, int.from_bytes(b"MJPG", "little"), FIELD_NONE, 0, size[0] * size[1] * 2, 8, 0
    )
    fcntl.ioctl(video, VIDIOC_S_FMT, struct.pack("=II", OUTPUT, 0) + pixels.ljust(200, b"\0"))
    parameters = struct.pack("=IIIII", OUTPUT, 0, 0, 1, rate)  # type; capability, mode, 1 / rate s a frame
    fcntl.ioctl(video, VIDIOC_S_PARM, bytearray(parameters.ljust(204, b"\0")))
    return video


def read_word(path: str) -> str:
    """What is wrong now; by the plainest of calls, for this is asked 25 times a second."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    word = os.read(file, 100).decode()
    os.close(file)
    return word


def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("scene")
    wanted.add_argument("seconds", type=float)
    wanted.add_argument("--no-camera", action="store_true")
    wanted.add_argument("--no-sensor", action="store_true")
    wanted.add_argument("--video", default=VIDEO)
    wanted.add_argument("--control", default="/run/feeder")
    asked = wanted.parse_args()
    with np.load(asked.scene) as file:
        scene = {name: file[name] for name in ("registers", "reg_ns", "image_ns", "length_ns")}
    jpegs = read_jpegs(asked.scene)
    registers = [row.tobytes() for row in scene["registers"]]
    due = [] if asked.no_sensor else [(int(t), 0, n) for n, t in enumerate(scene["reg_ns"])]
    due += [] if asked.no_camera else [(int(t), 1, n) for n, t in enumerate(scene["image_ns"])]
    due.sort()
    video = None if asked.no_camera else open_video(asked.video, (640, 360), 15)
    chip = None if asked.no_sensor else os.open(REGISTERS, os.O_RDWR)
    going = True

    def end(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, end)
    os.nice(-10)
    start_ns = time.monotonic_ns()
    until_ns = start_ns + int(asked.seconds * 1e9)
    late_ms, turn = [], 0
    Path("/run/feeder-start").write_text(str(start_ns))
    while going:
        for time_ns, what, number in due:
            due_ns = start_ns + turn * int(scene["length_ns"]) + time_ns
            if due_ns > until_ns or not going:
                going = False
                break
            wait_ns = due_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            wrong = read_word(asked.control)
            if what == 0 and "freeze-sensor" not in wrong:
                os.pwrite(chip, registers[number][2:], 0x80)
                os.pwrite(chip, registers[number][:2], 0x0E)
            elif what == 1 and "freeze-camera" not in wrong:
                jpeg = jpegs[number]
                os.write(video, jpeg[: len(jpeg) // 2] if "cut-jpeg" in wrong else jpeg)
            late_ms.append((time.monotonic_ns() - due_ns) / 1e6)
        turn += 1
    print(
        json.dumps(
            {
                "handed_over": len(late_ms),
                "late_ms_p50": float(np.percentile(late_ms or [0], 50)),
                "late_ms_p95": float(np.percentile(late_ms or [0], 95)),
                "late_ms_max": float(max(late_ms or [0])),
            }
        )
    )


main()
