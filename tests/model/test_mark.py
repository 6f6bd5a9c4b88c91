"""The marks in our files, as other readers find them."""

import struct
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from lrt.model.mark import COMPOSITE, DRAWN, SYNTHETIC, encode_jpeg, encode_png
from lrt.model.pictures import write_png
from lrt.model.synthesise import write_pictures

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


def source_type(packet: bytes | str) -> str:
    """The kind of picture that an XMP packet names."""
    text = packet if isinstance(packet, str) else packet.decode()
    body = text[text.index("<x:xmpmeta") : text.index("</x:xmpmeta>") + len("</x:xmpmeta>")]
    (found,) = (each.attrib[SOURCE_TYPE] for each in ElementTree.fromstring(body).iter() if SOURCE_TYPE in each.attrib)
    return found


def test_pillow_finds_the_marks_of_a_png_and_the_picture_is_the_same(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    (tmp_path / "a.png").write_bytes(encode_png(PICTURE))
    image = image_of.open(tmp_path / "a.png")
    image.load()
    np.testing.assert_array_equal(np.asarray(image), PICTURE)
    assert source_type(image.info["XML:com.adobe.xmp"]) == TERM + DRAWN
    assert image.info["Description"] == SYNTHETIC


def test_pillow_and_opencv_read_a_marked_jpeg(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    flat = np.full((40, 64, 3), (200, 60, 30), np.uint8)
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(flat, quality=95))
    image = image_of.open(tmp_path / "a.jpg")
    image.load()
    assert source_type(image.info["xmp"]) == TERM + DRAWN
    assert image.info["comment"] == SYNTHETIC.encode()
    for decoded in (np.asarray(image), cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1]):
        assert np.abs(decoded.astype(int) - flat).max() <= 3


def test_a_sheet_is_marked_as_a_composite_and_odd_words_do_no_harm(tmp_path):
    image_of = pytest.importorskip("PIL.Image")
    write_png(tmp_path / "sheet.png", PICTURE, 'rows "real" & <drawn>')
    image = image_of.open(tmp_path / "sheet.png")
    image.load()
    assert source_type(image.info["XML:com.adobe.xmp"]) == TERM + COMPOSITE
    assert image.info["Description"] == 'rows "real" & <drawn>'


def test_a_video_ends_with_the_mark_and_still_plays(tmp_path):
    heat = np.full((3, 5, 8), 22, np.float32)
    video = write_pictures([PICTURE] * 3, heat, tmp_path / "drawn")
    content, at, boxes = video.read_bytes(), 0, {}
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        boxes[kind] = content[at + 8 : at + size]
        at += size
    assert at == len(content)
    assert boxes[b"uuid"][:16].hex() == "be7acfcb97a942e89c71999491e3afac"
    assert source_type(boxes[b"uuid"][16:]) == TERM + COMPOSITE
    assert cv2.VideoCapture(str(video)).read()[0]
