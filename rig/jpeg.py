"""JPEG files: made of an image, decoded whole or small, and a camera's own, checked without decoding.

A webcam's MJPG stream is a JPEG a frame, and what a driver hands over is not always one: a lost USB packet cuts it
short or lets the next frame begin within it, and a buffer is often longer than its picture. The markers tell that for
the price of a search through the bytes. Huffman tables may be left out (Motion JPEG, "AVI1"): libjpeg-turbo, and so
OpenCV and Pillow, then take the standard ones.
"""

import re
from collections.abc import Iterator

import cv2
import numpy as np

from .records import Image, Jpeg

SOI, EOI = b"\xff\xd8", b"\xff\xd9"  # every JPEG begins and ends with these
_QUALITY = 90
_START_OF_SCAN = 0xDA
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, without DHT, JPG and DAC
_LONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length: TEM, RST0 to RST7, SOI
# The first byte pair within a scan that is a marker: a 0xFF of the picture is followed by 0, restarts belong to it.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_REDUCED = {
    1: (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}


def compress(image: Image) -> Jpeg:
    """The image as a JPEG of quality 90."""
    bgr = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    height, width = image.pixels.shape[:2]
    return Jpeg(image.timestamp_ns, data.tobytes(), image.sequence, (width, height))


def decode_jpeg(data: bytes, reduce: int = 1, gray: bool = False) -> np.ndarray:
    """The pixels of a JPEG.

    Args:
        data: a JPEG file.
        reduce: 1, 2, 4 or 8: so many times smaller each way, rounded up; the decoder then skips most of its work.
        gray: brightness alone.

    Returns:
        uint8 (H, W, 3) RGB, or (H, W) when gray. As stored: an orientation in its Exif block turns nothing.

    Raises:
        ValueError: it is no picture that OpenCV can read, or cut short; or there is no such reduction.
    """
    if reduce not in _REDUCED:
        raise ValueError(f"a JPEG can be reduced by {', '.join(map(str, _REDUCED))}, not by {reduce}")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[reduce][gray] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:  # no bytes at all, or a header that claims a gigapixel
        raise ValueError(f"no picture that OpenCV can read: {error.err}") from error
    if pixels is None:
        raise ValueError("no picture that OpenCV can read")
    return pixels if gray else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a JPEG, pixels, read from its header; what follows that is not looked at.

    Raises:
        ValueError: it is damaged there.
    """
    for marker, start, end in _segments(data):
        if marker in _SIZES:
            return _read_size(data, start, end)
        if marker == _START_OF_SCAN:
            break
    raise ValueError("a JPEG that does not say its size")


def trim_jpeg(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """A camera's JPEG without what follows its end (drivers pad their buffers), and its (width, height), pixels.

    Raises:
        ValueError: it is damaged: no JPEG at all, cut short, or mixed with the next one. What lost bytes and kept its
            markers is not noticed.
    """
    size: tuple[int, int] | None = None
    scans, end = 0, 0
    for marker, start, end in _segments(data):
        if marker in _SIZES:
            if size is not None:
                raise ValueError("a JPEG within which another begins")
            size = _read_size(data, start, end)
        scans += marker == _START_OF_SCAN
    if size is None or not scans:
        raise ValueError("a JPEG without a picture")
    return data[:end], size


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of every segment from the one after SOI up to and with EOI; of a scan, its header."""
    if not data.startswith(SOI):
        raise ValueError("no JPEG: it does not begin as one")
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # a marker may be preceded by any number of these
            at += 1
        head = data[at : at + 4]
        if head.startswith(EOI):
            yield EOI[1], at, at + 2
            return
        if len(head) < 4:
            raise ValueError("a JPEG that is cut short")
        if head[0] != 0xFF or head[1] == 0:
            raise ValueError(f"a JPEG with no marker where one must be, at byte {at}")
        if head[1] in _LONE:
            raise ValueError("a JPEG within which another begins")
        end = at + 2 + int.from_bytes(head[2:], "big")
        if end < at + 4 or end > len(data):
            raise ValueError("a JPEG that is cut short")
        yield head[1], at, end
        at = end
        if head[1] == _START_OF_SCAN:
            found = _MARKER.search(data, end)
            if found is None:
                raise ValueError("a JPEG that is cut short")
            at = found.start()


def _read_size(data: bytes, start: int, end: int) -> tuple[int, int]:
    if end - start < 9:  # marker, length, bits a sample, height, width
        raise ValueError("a JPEG that does not say its size")
    height, width = (
        int.from_bytes(data[start + 5 : start + 7], "big"),
        int.from_bytes(data[start + 7 : start + 9], "big"),
    )
    if not width or not height:  # 0: told after the first scan (DNL), which no camera does
        raise ValueError("a JPEG that does not say its size")
    return width, height
