"""The real picamera2 on libcamera's virtual pipeline: a machine of its own, for it wants a newer Debian."""

from pathlib import Path

from vm_image import make_camera_image
from vm_machine import Machine, install_lrt

CAMERA = """"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "lrt test camera"
"""


def try_picamera(log: Path, work: Path, wheel: Path) -> dict:
    """What the job in that machine found.

    Raises:
        BenchError: image, machine or job broke.
    """
    image = make_camera_image(log)
    folder = work / "camera"
    folder.mkdir()
    with Machine(image, folder) as machine:
        install_lrt(machine, wheel)
        (machine.share / "virtual.yaml").write_text(CAMERA)
        machine.must(
            "mkdir -p /usr/share/libcamera/pipeline/virtual; "
            "cp /share/virtual.yaml /usr/share/libcamera/pipeline/virtual/virtual.yaml; "
            "mkdir -p /dev/dma_heap; ln -sf system '/dev/dma_heap/linux,cma'; modprobe udmabuf 2>/dev/null || true"
        )
        return machine.python("picamera_job.py", limit_s=300)
