"""TensorBoard's event file, written by hand: the package would bring a dozen others for a few bytes a line.

A file is records (TensorFlow's `record_writer.cc`): length uint64, its checksum, the content, its checksum. A content
is one Event of `event.proto`: wall_time = 1, step = 2, file_version = 3, summary = 5; a summary holds values, each with
tag = 1 and simple_value = 2.
"""

import struct
import time
from collections.abc import Iterator
from typing import Any

_CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, reflected


def _table() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        yield value


_TABLE = tuple(_table())


def encode_line(line: dict[str, Any], wall_time_s: float | None = None) -> bytes:
    """A line of metrics.jsonl as one record: its scalars under `<phase>/<metric>`.

    Args:
        line: `phase`, `step`, and `metrics`: name -> value.
        wall_time_s: Unix time; now, when there is none.
    """
    values = b"".join(
        _field(1, _field(1, f"{line['phase']}/{name}".encode()) + b"\x15" + struct.pack("<f", value))
        for name, value in line["metrics"].items()
    )
    return _record(_event_at(wall_time_s) + b"\x10" + _varint(line["step"]) + _field(5, values))


def _event_at(wall_time_s: float | None) -> bytes:
    return b"\x09" + struct.pack("<d", time.time() if wall_time_s is None else wall_time_s)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, masked as records are, so that a checksum of checksums stays a good one."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*coded, value])


HEAD = _record(_event_at(0.0) + _field(3, b"brain.Event:2"))  # what a reader looks for first
