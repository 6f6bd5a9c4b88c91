"""The machine of the real picamera2 on libcamera's virtual pipeline: one of its own, for it wants a newer Debian."""

from vm_machine import Machine

CAMERA = """"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "lrt test camera"
"""


def prepare(machine: Machine) -> None:
    """Its camera, and the memory that picamera2 asks for by the name that a Pi has for it.

    Raises:
        BenchError: the machine broke.
    """
    (machine.share / "virtual.yaml").write_text(CAMERA)
    machine.must(
        "mkdir -p /usr/share/libcamera/pipeline/virtual; "
        "cp /share/virtual.yaml /usr/share/libcamera/pipeline/virtual/virtual.yaml; "
        "mkdir -p /dev/dma_heap; ln -sf system '/dev/dma_heap/linux,cma'"
    )
