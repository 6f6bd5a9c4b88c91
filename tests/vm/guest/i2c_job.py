"""The sensor on a real kernel's I2C bus: Adafruit's driver as it is, then lrt's, then with faults.

i2c_job.py SCENE.npz      the feeder hands over that scene meanwhile
"""

import sys
import time
from pathlib import Path

import numpy as np
from adafruit_amg88xx import AMG88XX
from adafruit_blinka import Lockable
from adafruit_blinka.microcontroller.generic_linux.i2c import I2C
from checks import Checks, read_bus, set_bus, sh, write_rig

from lrt.rig.records import RigError
from lrt.rig.thermal.amg8833 import AMG8833, decode_pixels
from lrt.rig.timing.clock import SystemClock

SECONDS = 8.0


class Bus(I2C, Lockable):
    """Blinka's own Linux bus, by its number: this machine has no board whose pins Blinka could look up."""


def adafruit(checks: Checks, known: set[bytes]) -> None:
    sensor = AMG88XX(Bus(1), 0x69)
    rows = [sensor.pixels for _ in range(8)]
    # `.pixels` asks for each by itself, so a frame may come in between: then its pixels are of two frames
    quarters = [np.rint(np.array(row) * 4).astype(np.int16) for row in rows]
    whole = sum(each.tobytes() in {decode_pixels(row).tobytes() for row in known} for each in quarters)
    checks.hold("Adafruit's driver, unmodified, reads the pixels", whole >= 1, f"{whole} of 8 whole frames")
    celsius = sensor.temperature
    checks.hold("and the thermistor", 15 < celsius < 40, f"{celsius:.2f} degC")


def steady(checks: Checks, known: set[bytes]) -> None:
    clock, heatmaps = SystemClock(), []
    pixels = {decode_pixels(row).tobytes() for row in known}
    with AMG8833(clock) as sensor:
        end_s = time.monotonic() + SECONDS
        due_ns = clock.now_ns()
        while time.monotonic() < end_s:
            heatmaps += sensor.poll()
            due_ns = max(due_ns + sensor.poll_period_ns, clock.now_ns())
            clock.sleep_until(due_ns)
        torn, read_ms, events = sensor.torn_reads, sensor.read_ms, sensor.take_events()
    mixed = sum(each.raw.tobytes() not in pixels for each in heatmaps)
    missed = heatmaps[-1].sequence - heatmaps[0].sequence + 1 - len(heatmaps)
    checks.hold(
        "lrt reads no heatmap that mixes two frames", mixed == 0, f"{len(heatmaps)} heatmaps, {torn} torn reads caught"
    )
    checks.hold("and reads nearly all of them, under emulation", missed <= 0.2 * len(heatmaps), f"{missed} missed")
    failed = [each.detail for each in events if "failed" in each.detail]  # five torn reads in a row are a slow machine
    checks.hold("no read fails on a bus that is well", not failed, failed[:2])
    checks.figures |= {"heatmaps": len(heatmaps), "missed": missed, "torn": torn, "mixed": mixed, "read_ms": read_ms}


def faults(checks: Checks) -> None:
    clock = SystemClock()
    with AMG8833(clock) as sensor:
        for name in ("nack", "eio"):
            set_bus(name, 2)
            got, events = poll_for(sensor, 2.0)
            checks.hold(
                f"after two messages that fail by {name.upper()} it goes on, and says so",
                got and any(each.kind == "bus-error" for each in events) and read_bus(name) == 0,
                [each.detail for each in events][:1],
            )
        set_bus("byte_us", 90)  # 100 kHz: 12 ms a read, and torn ones are caught
        got, events = poll_for(sensor, 4.0)
        checks.hold(
            "at 100 kHz it still reads whole frames",
            len(got) >= 20,
            f"{len(got)} heatmaps in 4 s, read {sensor.read_ms:.0f} ms",
        )
        set_bus("byte_us", 23)
        set_bus("unplugged", 1)
        began_s, said = time.monotonic(), ""
        try:
            poll_for(sensor, 10.0)
        except RigError as error:
            said = str(error)
        took_s = time.monotonic() - began_s
        checks.hold(
            "unplugged, it is given up after 3 s, in one line", "3 s" in said and took_s < 6, f"{took_s:.1f} s: {said}"
        )
    checks.hold("opening it then says what to look at", "wiring" in refusal(clock), refusal(clock))
    set_bus("unplugged", 0)
    with AMG8833(clock) as sensor:
        checks.hold("plugged in again, it is opened again", poll_for(sensor, 2.0)[0])
        said = refusal(clock)
        checks.hold("a second lrt on the bus is refused", "another lrt" in said, said)
    said = refusal(clock, address=0x68)
    checks.hold("the address at which there is none is named", "0x68" in said, said)
    rig = write_rig(Path("/run/lrt-nobody/rig.toml"))
    code, said = sh(
        f"chmod -R a+rX {rig.parent}; cd /tmp; "
        f"setpriv --reuid=nobody --regid=nogroup --clear-groups lrt check --rig {rig} --seconds 1"
    )
    checks.hold("who is not in group i2c is told so", code == 1 and "group i2c" in said, said.splitlines()[-3:])


def refusal(clock: SystemClock, address: int = 0x69) -> str:
    """What opening the sensor says; "opened" where it is."""
    try:
        AMG8833(clock, address=address).close()
    except RigError as error:
        return str(error)
    return "opened"


def poll_for(sensor: AMG8833, seconds: float) -> tuple[list, list]:
    """Heatmaps and events of so many seconds."""
    got, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        got += sensor.poll()
        time.sleep(sensor.poll_period_ns / 1e9)
    return got, sensor.take_events()


def bus_gone(checks: Checks) -> None:
    """The bus itself goes, as a USB bridge does; then it is back."""
    clock = SystemClock()
    code, said = sh("systemctl stop feeder; rmmod lrt_i2c")  # the feeder holds a file of the module's
    said = refusal(clock)
    checks.hold("without its bus it says which is missing", code == 0 and "/dev/i2c-1" in said, said)
    code, said = sh("modprobe lrt_i2c; udevadm settle; stat -c %G /dev/i2c-1")
    checks.hold("the bus is back, in group i2c", code == 0 and said == "i2c" and refusal(clock) == "opened", said)


def main() -> None:
    with np.load(sys.argv[1]) as file:
        known = {row[2:].tobytes() for row in file["registers"]}
    checks = Checks()
    _, group = sh("stat -c %G:%a /dev/i2c-1")
    checks.hold("/dev/i2c-1 belongs to group i2c", group == "i2c:660", group)
    for part in (adafruit, steady):
        with checks.trying(part.__name__):
            part(checks, known)
    for fault in (faults, bus_gone):
        with checks.trying(fault.__name__):
            fault(checks)
    checks.answer()


if __name__ == "__main__":
    main()
