"""A clip's messages in an MCAP file: /rgb, /thermal and /events, readable by any MCAP viewer.

    /rgb      protobuf  foxglove.CompressedImage   JPEG, quality 90: about 80 MB a minute at 640x480 and 30/s
    /thermal  json      lrt.Heatmap                raw quarter-degrees and the stamps' bounds
    /events   json      lrt.Event

Protobuf for the images because JSON would hold them as base64, a third larger. log_time and publish_time are our
monotonic stamps. Chunks of at most 256 KiB or one second, not compressed (JPEG is already), each with its CRC, and one
CRC over the whole data section.
"""

import fcntl
import hashlib
import json
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedWriter, BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, DataEnd
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.writer import CompressionType, Writer

from ..records import SENSOR_SHAPE, Event, Heatmap
from .compressed import DESCRIPTOR

RGB, THERMAL, EVENTS = TOPICS = ("/rgb", "/thermal", "/events")
_CHUNK_BYTES = 256 * 1024
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has only the other

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
        "status": {"type": "integer", "description": "the sensor's register STAT"},
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
        self._mcap, self._channels = _begin(self._file)

    def write(self, topic: str, time_ns: int, sequence: int, data: bytes) -> None:
        """Add a message to the open chunk."""
        self._mcap.add_message(self._channels[topic], time_ns, data, time_ns, sequence)

    @property
    def size_bytes(self) -> int:
        """Of the chunks closed so far."""
        return self._file.size_bytes

    def sync(self) -> None:
        """Close the open chunk and have the disk hold all of it."""
        self._mcap.flush()
        _sync_data(self._file.fileno())

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
        """Close the file as it is, on a full disk too: its whole chunks can be recovered."""
        with suppress(OSError):
            self._file.close()


def _begin(stream: Any) -> tuple[Writer, dict[str, int]]:
    """A log's writer, and the numbers of its channels."""
    mcap = Writer(stream, chunk_size=_CHUNK_BYTES, compression=CompressionType.NONE, enable_data_crcs=True)
    mcap.start(profile="", library="lrt")
    image = mcap.register_schema("foxglove.CompressedImage", "protobuf", DESCRIPTOR)
    channels = {RGB: mcap.register_channel(RGB, "protobuf", image)}
    for topic, name, schema in ((THERMAL, "lrt.Heatmap", _HEATMAP_SCHEMA), (EVENTS, "lrt.Event", _EVENT_SCHEMA)):
        number = mcap.register_schema(name, "jsonschema", _json(schema))
        channels[topic] = mcap.register_channel(topic, "json", number)
    return mcap, channels


class _HashedFile(BufferedWriter):
    """A new file that knows the SHA-256 of what was written to it, so that it need not be read again."""

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path, "x"))
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0
        with suppress(OSError):  # a file system without locks records as well
            fcntl.flock(self, fcntl.LOCK_EX)  # for `is_being_written`; the kernel lets go of it, whatever happens

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size_bytes += len(data)
        return super().write(data)


class _Continued:
    """Where a writer writes a log that is partly on disk: it is held against that part, and the rest is kept."""

    def __init__(self, known: BinaryIO, length: int) -> None:
        self._known, self._length = known, length
        self._at = 0
        self.agrees = True
        self.rest = bytearray()
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        known = self._known.read(min(len(data), max(0, self._length - self._at)))
        self.agrees &= known == data[: len(known)]
        self.rest += data[len(known) :]
        self._at += len(data)
        self.sha256.update(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass


def complete_log(path: Path, index: "LogIndex") -> str | None:
    """Give a log that was cut its end and its index, where it lies: no second copy of it has to find room.

    Returns:
        The file's SHA-256, hexadecimal; None if it is not what we would have written, and nothing was done.

    Raises:
        OSError: the disk refused; the log can then be completed another time.
    """
    with path.open("rb") as known, path.open("rb") as file:
        continued = _Continued(known, index.whole_to)
        mcap, channels = _begin(continued)
        chunk_ends = set(index.chunk_ends)
        for number, entry in enumerate(index.entries, 1):
            data = read_data(file, entry)
            mcap.add_message(channels[entry.topic], entry.time_ns, data, entry.time_ns, entry.sequence)
            if number in chunk_ends:
                mcap.flush()
        mcap.finish()
    if not continued.agrees:
        return None
    with path.open("r+b") as file:
        file.seek(index.whole_to)
        file.write(continued.rest)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return continued.sha256.hexdigest()


def is_being_written(path: Path) -> bool:
    """Whether a running `LogWriter`, of any process, holds the file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)
    return False


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
        lost_bytes: behind the last whole chunk, of a file that has no end.
        whole_to: where the last whole chunk ends.
        chunk_ends: how many entries there are up to the end of each whole chunk.
    """

    entries: list[Entry]
    problem: str | None
    damaged_chunks: int
    lost_bytes: int
    whole_to: int
    chunk_ends: list[int]


def read_index(path: Path) -> LogIndex:
    """Read a log once from end to end, check every CRC, and note where each message lies.

    Raises:
        OSError: the file cannot be read; never for what is in it.
    """
    entries: list[Entry] = []
    topics: dict[int, str] = dict(
        enumerate(TOPICS, 1)
    )  # the first chunk tells, but it may be the damaged one: ours never differ
    damaged: list[int] = []  # how many entries there were when a chunk was left out
    chunk_ends: list[int] = []
    problem, ended, whole_to = None, False, 0
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
                        chunk_ends.append(len(entries))
                        whole_to = file.tell()
                elif isinstance(record, DataEnd):
                    ended = True
        except CRCValidationError:  # of the whole data section, found at its end
            ended = True
            problem = problem or "its data have a wrong CRC"
        except (McapError, ValueError, struct.error, OverflowError, MemoryError) as error:
            if problem is None:
                where = "after its data" if ended else f"near byte {file.tell()} of {limit}"
                problem = f"it is cut or damaged {where} ({str(error) or type(error).__name__})"
    left_out = sum(at < len(entries) for at in damaged)
    return LogIndex(entries, problem, left_out, 0 if ended else limit - whole_to, whole_to, chunk_ends)


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
            if (topic := topics.get(channel_id)) in TOPICS:
                entries.append(Entry(topic, time_ns, sequence, data_at, data_length))
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
            "status": heatmap.status,
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


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
