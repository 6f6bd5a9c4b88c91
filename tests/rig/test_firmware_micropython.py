"""The firmware's core on the interpreter family it runs on: MicroPython says the same as CPython, byte for byte."""

import shutil
import struct
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from lrt.rig.thermal.mcu import open_packet

FIRMWARE = Path(__file__).parents[2] / "hardware" / "firmware"
TALK = Path(__file__).with_name("firmware_talk.py")


def load(path):
    """A module by its file."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def said():
    """What the firmware says on CPython."""
    return load(TALK).talk(load(FIRMWARE / "core.py"))


def test_the_talk_meets_all_that_a_sensor_does(said):
    """Else the comparison below would compare little."""
    packets = [open_packet(packet.strip(b"\0")) for packet in said[:-9]]
    heat = [struct.unpack("<HQIBBh64h", fields) for kind, _, fields in packets if kind == ord("H")]
    errors = [fields[4:].decode() for kind, _, fields in packets if kind == ord("E")]
    assert len(heat) > 80
    assert sum(torn for _, _, _, _, torn, *_ in heat) > 5
    assert {status for _, _, _, status, *_ in heat} == {0, 4}
    assert min(min(frame[6:]) for frame in heat) < -90
    assert max(max(frame[6:]) for frame in heat) > 500
    assert {frame[5] for frame in heat} == {-0xBB}
    assert {"the second byte was not acknowledged", "no answer", "no new frame for long: the sensor is reset"} == set(
        errors
    )
    numbers = [frame[0] for frame in heat]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > len(numbers) + 30  # those that were missed are jumps


@pytest.mark.skipif(
    shutil.which("micropython") is None, reason="micropython is not installed (Debian 13: apt-get install)"
)
def test_micropython_says_the_same(said):
    assert run("micropython") == said


def test_a_fresh_interpreter_says_the_same(said):
    """The file runs by itself, as it has to on a board's interpreter."""
    assert run(sys.executable) == said


def run(interpreter):
    """What the firmware says there."""
    done = subprocess.run([interpreter, TALK, FIRMWARE], capture_output=True, text=True, check=True)
    return [bytes.fromhex(line) for line in done.stdout.splitlines()]
