"""The real picamera2 on libcamera's virtual pipeline: a machine of its own, for it wants a newer Debian."""

from pathlib import Path

from vm_image import Image
from vm_machine import Kept, Machine, install_lrt

CAMERA = """"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "lrt test camera"
"""


def try_picamera(image: Image, folder: Path, packed: Path, kept: Kept | None, nice: int) -> dict:
    """What the job in that machine found.

    Raises:
        BenchError: machine or job broke.
    """
    with Machine(image, folder, kept=kept, nice=nice) as machine:
        install_lrt(machine, packed)
        (machine.share / "virtual.yaml").write_text(CAMERA)
        machine.must(
            "mkdir -p /usr/share/libcamera/pipeline/virtual; "
            "cp /share/virtual.yaml /usr/share/libcamera/pipeline/virtual/virtual.yaml; "
            "mkdir -p /dev/dma_heap; ln -sf system '/dev/dma_heap/linux,cma'"
        )
        return machine.python("picamera_job.py", limit_s=300)
