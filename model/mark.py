"""Pictures that say of themselves what they are: a network drew them, no camera saw it.

Two marks go into every file: plain text for who opens it in a viewer, and the field's own term for programs, IPTC's
DigitalSourceType in an XMP packet (IPTC Photo Metadata Standard; where a packet stands in each kind of file is said in
part 3 of the XMP specification). A copy that goes through a messenger loses them, as it loses all metadata.
"""

import struct
import zlib
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np

from .. import __version__

SYNTHETIC = "synthetic: drawn by a neural network from a heatmap; no camera saw it"
DRAWN = "trainedAlgorithmicMedia"  # a picture that a network drew
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"  # a sheet of drawn and of real ones
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # of an XMP box in MP4
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"  # begins an APP1 segment of JPEG
_PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"  # iTXt: keyword, not compressed, no language


def encode_png(picture: np.ndarray, description: str = SYNTHETIC, kind: str = DRAWN) -> bytes:
    """A PNG that carries its description, the software's name and what kind of picture it is.

    Args:
        picture: (H, W, 3) uint8, RGB.
        description: Latin-1; what the picture is, and that a network drew it where one did.
        kind: DRAWN or COMPOSITE.
    """
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV encodes any uint8 picture as PNG"
    png = encoded.tobytes()
    header_end = 8 + 25  # signature, then IHDR: 4 length + 4 type + 13 data + 4 CRC (PNG, section 5)
    marks = [
        _chunk(b"tEXt", b"Description\0" + description.encode("latin-1")),
        _chunk(b"tEXt", b"Software\0" + f"lrt {__version__}".encode("latin-1")),
        _chunk(b"iTXt", _PNG_XMP + _packet(description, kind)),
    ]
    return png[:header_end] + b"".join(marks) + png[header_end:]


def encode_jpeg(picture: np.ndarray, description: str = SYNTHETIC, kind: str = DRAWN, quality: int = 90) -> bytes:
    """A JPEG with the same marks; arguments as of `encode_png`, `quality` from 0 to 100."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes any uint8 picture as JPEG"
    jpeg = encoded.tobytes()
    app0_end = 4 + int.from_bytes(jpeg[4:6], "big")  # start of image, then JFIF's segment and its length
    body = _JPEG_XMP + _packet(description, kind)
    comment = description.encode()
    marks = b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + b"\xff\xfe" + struct.pack(">H", 2 + len(comment))
    return jpeg[:app0_end] + marks + comment + jpeg[app0_end:]


def mp4_mark(description: str = SYNTHETIC, kind: str = COMPOSITE) -> bytes:
    """The marks as a box of MP4, to be put behind a file's others, which stay where they are."""
    body = _XMP_UUID + _packet(description, kind)
    return struct.pack(">I", 8 + len(body)) + b"uuid" + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG: length, type, data, CRC of type and data (PNG, section 5.3)."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _packet(description: str, kind: str) -> bytes:
    """An XMP packet, UTF-8."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType={quoteattr(SOURCE_TYPES + kind)} xmp:CreatorTool="lrt {__version__}">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
