"""Sensor and camera of the machine: hands the twin's registers and pictures to the kernel, each when it is due.

    feeder.py SCENE.npz...

The first scene goes round. While /run/feeder holds the name of another, that one does; while it holds `freeze-sensor`,
`freeze-camera` or `cut-jpeg`, that is wrong. Ends on SIGTERM; the last line is how late it was, as JSON.
"""

import fcntl
import json
import os
import signal
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from checks import CONTROL, read_jpegs

REGISTERS = "/sys/devices/platform/lrt_i2c.0/registers"
VIDEO = "/dev/video0"
VIDIOC_S_FMT, VIDIOC_S_PARM = 0xC0D05605, 0xC0CC5616
OUTPUT, FIELD_NONE = 2, 1


@dataclass(frozen=True, eq=False)
class Scene:
    """What sensor and camera see.

    Attributes:
        due: when, ns from the scene's start, what (0 sensor, 1 camera) is due, and which of it.
        registers, jpegs: of them.
        length_ns: then it begins anew.
    """

    due: list[tuple[int, int, int]]
    registers: list[bytes]
    jpegs: list[bytes]
    length_ns: int

    @classmethod
    def read(cls, path: str) -> Self:
        """A scene's file."""
        with np.load(path) as file:
            due = [(time_ns, 0, number) for number, time_ns in enumerate(file["reg_ns"].tolist())]
            due += [(time_ns, 1, number) for number, time_ns in enumerate(file["image_ns"].tolist())]
            registers = [row.tobytes() for row in file["registers"]]
            return cls(sorted(due), registers, read_jpegs(path), int(file["length_ns"]))


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


def read_word() -> str:
    """What is asked for now; by the plainest of calls, for this is asked 25 times a second."""
    try:
        file = os.open(CONTROL, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    word = os.read(file, 100).decode()
    os.close(file)
    return word


def main() -> None:
    scenes = {Path(path).stem: Scene.read(path) for path in sys.argv[1:]}
    first = shown = next(iter(scenes.values()))
    video, chip = open_video(VIDEO, (640, 360), 15), os.open(REGISTERS, os.O_RDWR)
    going = True

    def end(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, end)
    os.nice(-10)
    start_ns = time.monotonic_ns()
    late_ms: list[float] = []
    Path("/run/feeder-start").write_text(str(start_ns))
    while going:
        for time_ns, what, number in shown.due:
            due_ns = start_ns + time_ns
            wait_ns = due_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            word = read_word()
            if not going or scenes.get(word, first) is not shown:
                break
            if what == 0 and word != "freeze-sensor":
                os.pwrite(chip, shown.registers[number][2:], 0x80)
                os.pwrite(chip, shown.registers[number][:2], 0x0E)
            elif what == 1 and word != "freeze-camera":
                jpeg = shown.jpegs[number]
                os.write(video, jpeg[: len(jpeg) // 2] if word == "cut-jpeg" else jpeg)
            late_ms.append((time.monotonic_ns() - due_ns) / 1e6)
        else:
            start_ns += shown.length_ns
            continue
        shown, start_ns = scenes.get(word, first), time.monotonic_ns()
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
