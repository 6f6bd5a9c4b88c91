"""foxglove.CompressedImage: the protobuf message in which MCAP viewers look for a picture.

Two dozen bytes around the JPEG, and the message's own description: encoded by hand rather than by a dependency.
"""

import numpy as np

from ..jpeg import decode_jpeg
from ..records import Jpeg

_SECOND_NS = 1_000_000_000


def encode_message(jpeg: Jpeg) -> bytes:
    """Protobuf foxglove.CompressedImage around a JPEG, whose bytes stay as they are."""
    seconds, nanoseconds = divmod(jpeg.timestamp_ns, _SECOND_NS)
    stamp = _field(1, seconds) + _field(2, nanoseconds)
    return _field(1, stamp) + _field(4, b"camera") + _field(3, b"jpeg") + _field(2, jpeg.data)


def decode_message(data: bytes) -> bytes:
    """The picture's file in a foxglove.CompressedImage.

    Raises:
        ValueError: it holds none, or is no such message.
    """
    at = 0
    try:
        while at < len(data):
            tag, at = _read_varint(data, at)
            value, at = _read_varint(data, at)  # of field 2, as of every field but integers: a length
            if tag == (2 << 3 | 2) and at + value <= len(data):
                return data[at : at + value]
            at += value if tag & 7 == 2 else 0
    except IndexError:  # it ends within a number
        pass
    raise ValueError("the message holds no image")


def decode_pixels(data: bytes) -> np.ndarray:
    """The image in a foxglove.CompressedImage: uint8 (H, W, 3), RGB.

    Raises:
        ValueError: it holds no image that OpenCV can read.
    """
    return decode_jpeg(decode_message(data))


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the top bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _field(number: int, value: int | bytes) -> bytes:
    """A protobuf field: wire type 0 (an integer) or 2 (a length and bytes)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _describe(name: bytes, *fields: tuple[bytes, int, int, bytes]) -> bytes:
    """A DescriptorProto: the message's name, then name, number, type and type name of its fields."""
    described = b"".join(
        _field(2, _field(1, field) + _field(3, number) + _field(4, 1) + _field(5, kind) + (of and _field(6, of)))
        for field, number, kind, of in fields
    )
    return _field(1, name) + described


# FileDescriptorSet of google/protobuf/timestamp.proto and foxglove/CompressedImage.proto: what an MCAP file must carry
# so that a reader knows the message. Types: 3 int64, 5 int32, 9 string, 11 message, 12 bytes.
_TIMESTAMP_FILE = (
    _field(1, b"google/protobuf/timestamp.proto")
    + _field(2, b"google.protobuf")
    + _field(4, _describe(b"Timestamp", (b"seconds", 1, 3, b""), (b"nanos", 2, 5, b"")))
    + _field(12, b"proto3")
)
_IMAGE_FILE = (
    _field(1, b"foxglove/CompressedImage.proto")
    + _field(2, b"foxglove")
    + _field(3, b"google/protobuf/timestamp.proto")
    + _field(
        4,
        _describe(
            b"CompressedImage",
            (b"timestamp", 1, 11, b".google.protobuf.Timestamp"),
            (b"frame_id", 4, 9, b""),
            (b"data", 2, 12, b""),
            (b"format", 3, 9, b""),
        ),
    )
    + _field(12, b"proto3")
)
DESCRIPTOR = _field(1, _TIMESTAMP_FILE) + _field(1, _IMAGE_FILE)
