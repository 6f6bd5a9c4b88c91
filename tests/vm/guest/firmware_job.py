"""The board's firmware on Debian's MicroPython: what it says of a made-up sensor, against what CPython says.

firmware_job.py FOLDER      with core.py and firmware_talk.py
"""

import sys
import time
from pathlib import Path

from checks import Checks, sh

from lrt.rig.thermal.mcu import open_packet


def main() -> None:
    folder = sys.argv[1]
    checks = Checks()
    with checks.trying("the firmware's core runs on MicroPython"):
        said = {}
        for interpreter in ("micropython", sys.executable):
            began_s = time.monotonic()
            _, version = sh(f"{interpreter} -c 'import sys; print(sys.version)'")
            code, text = sh(f"{interpreter} {folder}/firmware_talk.py {folder}", 120)
            said[interpreter] = text.splitlines()
            checks.figures[f"{Path(interpreter).name}_s"] = time.monotonic() - began_s
            checks.hold(f"{Path(interpreter).name} runs it to its end", code == 0, text[-300:] if code else version)
        ours, known = said.values()
        differing = [number for number, (one, other) in enumerate(zip(ours, known, strict=False)) if one != other]
        checks.hold(
            "MicroPython sends the packets that CPython sends, byte for byte",
            ours == known and len(ours) > 500,
            f"{len(ours)} and {len(known)} packets, {len(differing)} differ {differing[:3]}",
        )
        kinds = [chr(open_packet(bytes.fromhex(line).strip(b"\0"))[0]) for line in ours]
        counted = {kind: kinds.count(kind) for kind in "CHIE"}
        checks.hold("and lrt's reader opens each of them", min(counted.values()) > 0, counted)
    checks.answer()


main()
