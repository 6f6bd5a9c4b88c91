"""A clip's messages in an MCAP file: /rgb, /thermal and /events, readable by any MCAP viewer.

    /rgb      protobuf  foxglove.CompressedImage   JPEG, quality 90: 0.9 ms a frame, 87 MB a minute at 640x480
    /thermal  json      lrt.Heatmap                raw quarter-degrees and the stamps' bounds
    /events   json      lrt.Event

Protobuf for the images because JSON would hold them as base64, a third larger; two dozen bytes of it are encoded by
hand below rather than by a dependency. log_time and publish_time are our monotonic stamps. Chunks of at most 256 KiB
or one second, not compressed (JPEG is already), each with its CRC, and one CRC over the whole data section.
"""

import hashlib
import json
import os
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, DataEnd
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from ..records import SENSOR_SHAPE, Event, Heatmap, Image

RGB, THERMAL, EVENTS = "/rgb", "/thermal", "/events"
_CHUNK_BYTES = 256 * 1024
_JPEG_QUALITY = 90
_SECOND_NS = 1_000_000_000

_MESSAGE_OPCODE, _CHANNEL_OPCODE = 0x05, 0x04
_RECORD = struct.Struct("<BQ")  # opcode, length
_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time

_NS = {"type": "integer", "description": "CLOCK_MONOTONIC, ns"}
_HEATMAP_SCHEMA = {
    "type": "object",
    "properties": {
        "sequence": {"type": "integer"},
        "timestamp_ns": _NS,
        "earliest_ns": _NS,
        "latest_ns": _NS,
        "thermistor_raw": {"type": "integer", "description": "1/16 degC"},
        "raw": {"type": "array", "items": {"type": "integer"}, "description": "64 pixels, 1/4 degC, sensor's order"},
    },
}
_EVENT_SCHEMA = {
    "type": "object",
    "properties": {"timestamp_ns": _NS, "kind": {"type": "string"}, "detail": {"type": "string"}},
}


class LogWriter:
    """An MCAP file being written: a new file, every byte of it hashed on its way.

    Args:
        path: must not exist.

    Raises:
        OSError: it does, or the disk is full or gone; also from every method.
    """

    def __init__(self, path: Path) -> None:
        self._file = _HashedFile(path)
        self._mcap = Writer(
            self._file,  # pyright: ignore[reportArgumentType]: a writer needs write, tell and flush alone
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.NONE,
            enable_data_crcs=True,
        )
        self._mcap.start(profile="", library="lrt")
        image = self._mcap.register_schema("foxglove.CompressedImage", "protobuf", _IMAGE_DESCRIPTOR)
        self._channels = {RGB: self._mcap.register_channel(RGB, "protobuf", image)}
        for topic, name, schema in ((THERMAL, "lrt.Heatmap", _HEATMAP_SCHEMA), (EVENTS, "lrt.Event", _EVENT_SCHEMA)):
            number = self._mcap.register_schema(name, "jsonschema", _json(schema))
            self._channels[topic] = self._mcap.register_channel(topic, "json", number)

    def write(self, topic: str, time_ns: int, sequence: int, data: bytes) -> None:
        """Add a message to the open chunk."""
        self._mcap.add_message(self._channels[topic], time_ns, data, time_ns, sequence)

    def sync(self) -> None:
        """Close the open chunk and have the disk hold all of it."""
        self._mcap.flush()
        os.fdatasync(self._file.fileno())

    def finish(self) -> str:
        """Write the index, have the disk hold the file and close it.

        Returns:
            The file's SHA-256, hexadecimal.
        """
        self._mcap.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._file.sha256.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is: its whole chunks can be recovered."""
        self._file.close()


class _HashedFile:
    """A new file that knows the SHA-256 of what was written to it, so that it need not be read again."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self.sha256 = hashlib.sha256()
        self.flush, self.tell, self.fileno, self.close = (
            self._file.flush,
            self._file.tell,
            self._file.fileno,
            self._file.close,
        )

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)


@dataclass(frozen=True)
class Entry:
    """Where one message's data lie in the file."""

    topic: str
    time_ns: int
    sequence: int
    offset: int
    length: int


@dataclass(frozen=True)
class LogIndex:
    """What a log holds, damage left out.

    Attributes:
        entries: of every message in a chunk whose CRC is right, in the file's order.
        problem: what is wrong with the file, a phrase; None if every CRC is right and its end is there.
        damaged_chunks: chunks left out although something whole came after them.
    """

    entries: list[Entry]
    problem: str | None
    damaged_chunks: int


def read_index(path: Path) -> LogIndex:
    """Read a log once from end to end, check every CRC, and note where each message lies.

    Raises:
        OSError: the file cannot be read; never for what is in it.
    """
    entries: list[Entry] = []
    topics: dict[int, str] = {}
    damaged: list[int] = []  # how many entries there were when a chunk was left out
    problem, ended = None, False
    with path.open("rb") as file:
        # A damaged length must not ask for more memory than there are bytes.
        limit = max(path.stat().st_size, 1)
        try:
            for record in StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=limit).records:
                if isinstance(record, Chunk):
                    if zlib.crc32(record.data) != record.uncompressed_crc:
                        problem = problem or f"a chunk before byte {file.tell()} has a wrong CRC"
                        damaged.append(len(entries))
                    else:
                        entries += _chunk_entries(record.data, file.tell() - len(record.data), topics)
                elif isinstance(record, DataEnd):
                    ended = True
        except (McapError, ValueError, struct.error, OverflowError, MemoryError) as error:
            if problem is None:
                where = "after its data" if ended else f"near byte {file.tell()} of {limit}"
                problem = f"it is cut or damaged {where} ({str(error) or type(error).__name__})"
    return LogIndex(entries, problem, sum(at < len(entries) for at in damaged))


def _chunk_entries(chunk: bytes, start: int, topics: dict[int, str]) -> list[Entry]:
    entries, at = [], 0
    while at < len(chunk):
        opcode, length = _RECORD.unpack_from(chunk, at)
        at += _RECORD.size
        if opcode == _CHANNEL_OPCODE:
            channel = Channel.read(ReadDataStream(BytesIO(chunk[at : at + length])))
            topics[channel.id] = channel.topic
        elif opcode == _MESSAGE_OPCODE:
            channel_id, sequence, time_ns, _ = _MESSAGE.unpack_from(chunk, at)
            data_at, data_length = start + at + _MESSAGE.size, length - _MESSAGE.size
            entries.append(Entry(topics.get(channel_id, ""), time_ns, sequence, data_at, data_length))
        at += length
    return entries


def read_data(file: BinaryIO, entry: Entry) -> bytes:
    """The message's data, from the open log."""
    file.seek(entry.offset)
    return file.read(entry.length)


def encode_heatmap(heatmap: Heatmap) -> bytes:
    """JSON of schema lrt.Heatmap."""
    return _json(
        {
            "sequence": heatmap.sequence,
            "timestamp_ns": heatmap.timestamp_ns,
            "earliest_ns": heatmap.earliest_ns,
            "latest_ns": heatmap.latest_ns,
            "thermistor_raw": heatmap.thermistor_raw,
            "raw": heatmap.raw.ravel().tolist(),
        }
    )


def decode_heatmap(data: bytes) -> Heatmap:
    """The inverse of `encode_heatmap`."""
    fields = json.loads(data)
    fields["raw"] = np.array(fields["raw"], np.int16).reshape(SENSOR_SHAPE)
    return Heatmap(**fields)


def encode_event(event: Event) -> bytes:
    """JSON of schema lrt.Event."""
    return _json({"timestamp_ns": event.timestamp_ns, "kind": event.kind, "detail": event.detail})


def decode_event(data: bytes) -> Event:
    """The inverse of `encode_event`."""
    return Event(**json.loads(data))


def encode_image(image: Image) -> bytes:
    """Protobuf foxglove.CompressedImage holding a JPEG of quality 90."""
    bgr = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    seconds, nanoseconds = divmod(image.timestamp_ns, _SECOND_NS)
    stamp = _field(1, seconds) + _field(2, nanoseconds)
    return _field(1, stamp) + _field(4, b"camera") + _field(3, b"jpeg") + _field(2, jpeg.tobytes())


def decode_pixels(data: bytes) -> np.ndarray:
    """The image in a foxglove.CompressedImage: uint8 (H, W, 3), RGB.

    Raises:
        ValueError: it holds no image that OpenCV can read.
    """
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)  # of field 2, as of every field but integers: a length
        if tag == (2 << 3 | 2):
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8, value, at), cv2.IMREAD_COLOR)
            if bgr is not None:
                return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            break
        at += value if tag & 7 == 2 else 0
    raise ValueError("the message holds no image")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


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
_IMAGE_DESCRIPTOR = _field(1, _TIMESTAMP_FILE) + _field(1, _IMAGE_FILE)
