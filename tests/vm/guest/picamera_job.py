"""lrt's PiCamera on the real picamera2 and the real libcamera, whose virtual pipeline has a camera without hardware.

What that pipeline lacks of a Pi's is put in its place here, each shim by its name:

    pykms, pidng    graphics output and raw files, which have no package; imported by picamera2, never used by lrt
    raw modes       the pipeline has no raw stream, which picamera2 asks every camera for
    allocator       picamera2's own gives memory in one plane; libcamera's gives what the pipeline wants
    NV12            the only format there is; asked for in place of BGR888 and converted

picamera2 asks for "linux,cma" among the DMA heaps; the host's set-up links it to the one that there is.
"""

import sys
import time
import types
from typing import Any

import cv2
import numpy as np
from checks import Checks

from lrt.rig.camera.picamera import PiCamera
from lrt.rig.records import RigError
from lrt.rig.timing.clock import SystemClock

SECONDS = 1.5  # the pipeline does not keep to a rate: as many frames as the machine can draw
BARS = "wycgmrbk"


class AnyFormat:
    """pykms.PixelFormat: every attribute is there."""

    def __getattr__(self, name: str) -> str:
        return name


def stub_modules() -> None:
    for name in ("pykms", "kms", "pidng", "pidng.core", "pidng.camdefs"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["pykms"].PixelFormat = sys.modules["kms"].PixelFormat = AnyFormat()
    sys.modules["pidng.core"].PICAM2DNG = object
    sys.modules["pidng.camdefs"].Picamera2Camera = object


def shim_pipeline() -> None:
    from picamera2 import Picamera2
    from picamera2.allocators import LibcameraAllocator

    opened = Picamera2.__init__

    def open_with_allocator(self: Any, *arguments: Any, **named: Any) -> None:
        opened(self, *arguments, **named)
        self.allocator = LibcameraAllocator(self.camera)

    Picamera2.__init__ = open_with_allocator
    Picamera2._get_raw_modes = lambda _: [{"format": "SRGGB8", "size": (640, 480)}]


def shim_format() -> None:
    from picamera2 import Picamera2
    from picamera2.request import CompletedRequest

    configure, told, make = (
        Picamera2.create_video_configuration,
        Picamera2.camera_configuration,
        CompletedRequest.make_array,
    )

    def as_nv12(self: Any, main: dict[str, Any] | None = None, **named: Any) -> Any:
        return configure(self, main={**(main or {}), "format": "NV12"}, raw=None, **named)

    def tell_bgr(self: Any, *arguments: Any) -> Any:
        told_it = told(self, *arguments)
        return {**told_it, "main": {**told_it["main"], "format": "BGR888"}}

    def to_rgb(self: Any, name: str) -> np.ndarray:
        return cv2.cvtColor(make(self, name), cv2.COLOR_YUV2RGB_NV12)

    Picamera2.create_video_configuration, CompletedRequest.make_array = as_nv12, to_rgb
    Picamera2.camera_configuration = tell_bgr


def refuse(checks: Checks) -> None:
    """Before the format's shim: libcamera adjusts what it cannot give, and lrt has to notice."""
    try:
        PiCamera(SystemClock(), (640, 480), 30.0).close()
        said = "opened"
    except RigError as error:
        said = str(error)
    checks.hold(
        "a format that libcamera adjusted in silence is noticed, in one line", "instead of BGR888" in said, said
    )


def stream(checks: Checks) -> None:
    clock = SystemClock()
    with PiCamera(clock, (640, 480), 30.0) as camera:
        images, ages_ms = [], []
        end_s = time.monotonic() + SECONDS
        while time.monotonic() < end_s:
            for image in camera.poll():
                ages_ms.append((clock.now_ns() - image.timestamp_ns) / 1e6)
                images.append(image)
            time.sleep(camera.poll_period_ns / 1e9)
        events = camera.take_events()
        size = camera.size
    stamps = [image.timestamp_ns for image in images]
    checks.hold("frames come through pre_callback", len(images) > 20, f"{len(images)} in {SECONDS:g} s")
    checks.hold(
        "of the configured size, RGB",
        size == (640, 480) and all(each.pixels.shape == (480, 640, 3) for each in images),
        size,
    )
    checks.hold(
        "SensorTimestamp is of CLOCK_MONOTONIC and ascends",
        (np.diff(stamps) > 0).all() and min(ages_ms) >= 0,
        f"age {np.median(ages_ms):.0f} ms",
    )
    seen = ["".join(name_bars(image.pixels)) for image in images[-20:]]
    checks.hold(
        "the test picture's bars are in their order, so no two colours are swapped",
        sum(bars in BARS * 2 for bars in seen) > 15,  # the picture wanders; an edge may be where we look
        seen[-1],
    )
    checks.hold(
        "nothing unreadable is said",
        not [each for each in events if "unreadable" in each.detail],
        [each.detail for each in events][:2],
    )
    checks.figures |= {
        "frames": len(images),
        "age_ms_p50": float(np.median(ages_ms)),
        "period_ms_p50": float(np.median(np.diff(stamps)) / 1e6),
    }


def name_bars(pixels: np.ndarray) -> list[str]:
    """The colour of each of the eight bars, from the left, by its letter."""
    rows, columns, _ = pixels.shape
    middles = (np.arange(8) * 2 + 1) * columns // 16
    return ["kbgcrmyw"[int(bright @ (4, 2, 1))] for bright in (pixels[rows // 3, middles] > 127).astype(int)]


def main() -> None:
    checks = Checks()
    stub_modules()
    with checks.trying("picamera2 is imported and opened"):
        shim_pipeline()
        refuse(checks)
        shim_format()
        stream(checks)
        began_s = time.monotonic()
        with PiCamera(SystemClock(), (640, 480), 30.0) as camera:
            time.sleep(1)
            count = len(camera.poll())
        checks.hold("closed, it is opened again", count, f"{count} frames, {time.monotonic() - began_s:.1f} s")
    checks.answer()


if __name__ == "__main__":
    main()
