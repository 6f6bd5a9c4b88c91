"""What a Pi must not be made to load."""

import subprocess
import sys

EVERY_MODULE = """
import sys
import lrt.rig.recorder, lrt.rig.settings, lrt.rig.clip, lrt.rig.camera.opencv, lrt.rig.camera.picamera
import lrt.rig.thermal.amg8833, lrt.rig.thermal.mcu, lrt.rig.thermal.serial, lrt.rig.timing.stamps
import lrt.rig.daemon, lrt.rig.health, lrt.rig.sync_check
heavy = ("torch", "scipy", "pyarrow", "adafruit_amg88xx", "picamera2", "lrt.dataset")
print(*(name for name in heavy if name in sys.modules))
"""


def test_the_rig_loads_neither_torch_nor_a_device_library_before_it_opens_one():
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
