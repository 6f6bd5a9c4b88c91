"""JPEG files of several encoders, whole and damaged; OpenCV's decoder, and our walk along the markers."""

import io

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pillow

from lrt.rig.clip.compressed import decode_message, decode_pixels, encode_message
from lrt.rig.jpeg import compress, decode_jpeg, jpeg_size, trim_jpeg
from lrt.rig.records import Image, Jpeg

WIDTH, HEIGHT = 45, 37  # of no block size a multiple


@pytest.fixture(scope="module")
def pixels():
    across, down = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    noise = np.random.default_rng(4).integers(0, 30, (HEIGHT, WIDTH, 3))
    return (np.stack([across * 4, down * 5, 60 + 0 * across], -1) + noise).astype(np.uint8)


@pytest.fixture(scope="module")
def jpeg(pixels):
    return compress(Image(5, pixels, 7)).data


def made_by_opencv(pixels, *options):
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), list(options))[1].tobytes()


def made_by_pillow(pixels, **options):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "jpeg", **options)
    return file.getvalue()


def exif(orientation, thumbnail=b""):
    """An Exif block that says how the camera was held, with a small JPEG of its own at its end."""
    entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big")
    directory = (1).to_bytes(2, "big") + entry + orientation.to_bytes(2, "big") + bytes(2) + bytes(4)
    return b"Exif\0\0MM\0\x2a\0\0\0\x08" + directory + thumbnail


def without_tables(data):
    """As many a UVC camera sends it: the Huffman tables (DHT) left out, for they are always the standard ones."""
    at, out = 2, data[:2]
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        out += b"" if data[at + 1] == 0xC4 else data[at:end]
        at = end
    assert len(out) + len(data) - at < len(data) - 400
    return out + data[at:]


def test_an_image_is_compressed_to_what_it_was_nearly(pixels):
    jpeg = compress(Image(5, pixels, 7))
    assert (jpeg.timestamp_ns, jpeg.sequence, jpeg.size) == (5, 7, (WIDTH, HEIGHT))
    assert np.abs(decode_jpeg(jpeg.data).astype(int) - pixels).mean() < 8


def test_red_comes_back_as_red():
    jpeg = compress(Image(0, np.full((16, 16, 3), (250, 20, 10), np.uint8), 0))
    assert decode_jpeg(jpeg.data)[8, 8].tolist() == pytest.approx([250, 20, 10], abs=6)
    assert decode_jpeg(jpeg.data, reduce=8)[0, 0].tolist() == pytest.approx([250, 20, 10], abs=6)


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
def test_a_picture_can_be_opened_smaller_and_grey_with_the_same_brightness(jpeg, pixels, reduce):
    small = decode_jpeg(jpeg, reduce)
    grey = decode_jpeg(jpeg, reduce, gray=True)
    size = (-(-HEIGHT // reduce), -(-WIDTH // reduce))
    assert small.shape == (*size, 3)
    assert grey.shape == size
    assert small.dtype == grey.dtype == np.uint8
    whole = HEIGHT // reduce, WIDTH // reduce  # the last row and column may be cut
    blocks = pixels[: whole[0] * reduce, : whole[1] * reduce].reshape(whole[0], reduce, whole[1], reduce, 3)
    expected = blocks.mean((1, 3)) @ (0.299, 0.587, 0.114)
    assert np.abs(grey[: whole[0], : whole[1]] - expected).mean() < 4


def test_what_is_no_picture_or_cut_short_cannot_be_opened(jpeg):
    for data in (b"", b"hello", jpeg[: len(jpeg) // 2], jpeg[:-2]):  # without EOI OpenCV gives up at the last row
        with pytest.raises(ValueError, match="no picture"):
            decode_jpeg(data)
    with pytest.raises(ValueError, match="by 1, 2, 4, 8, not by 3"):
        decode_jpeg(jpeg, reduce=3)


def test_the_size_of_every_kind_of_jpeg_is_read_from_its_header(pixels):
    thumbnail = made_by_opencv(pixels[:8, :8])
    for data in (
        made_by_opencv(pixels),
        made_by_opencv(pixels, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        made_by_opencv(pixels, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        made_by_opencv(pixels, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        made_by_pillow(pixels[..., 0]),
        made_by_pillow(pixels, exif=exif(6, thumbnail), comment=b"\xff\xd9\xff\xd8"),
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 70, "RGB", "422"),
        without_tables(made_by_opencv(pixels)),
    ):
        assert jpeg_size(data) == (WIDTH, HEIGHT)
        assert trim_jpeg(data) == (data, (WIDTH, HEIGHT))
        assert decode_jpeg(data).shape == (HEIGHT, WIDTH, 3)


def test_how_the_camera_was_held_turns_no_picture(pixels):
    data = made_by_pillow(pixels, exif=exif(6))
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert turned.shape[:2] == (WIDTH, HEIGHT)  # the block is one that OpenCV heeds
    assert decode_jpeg(data).shape[:2] == (HEIGHT, WIDTH)
    assert decode_jpeg(data, reduce=2).shape[:2] == (19, 23)


def test_a_jpeg_without_huffman_tables_is_opened_with_the_standard_ones(jpeg):
    bare = without_tables(jpeg)
    assert (decode_jpeg(bare) == decode_jpeg(jpeg)).all()
    assert (decode_jpeg(bare, 8, gray=True) == decode_jpeg(jpeg, 8, gray=True)).all()


@pytest.mark.parametrize("padding", [bytes(100), b"\xff" * 3, b"\0\0old\xff\xd9", b"\xff\xd8\xff"])
def test_what_follows_a_picture_in_the_drivers_buffer_is_taken_off(jpeg, padding):
    assert trim_jpeg(jpeg + padding) == (jpeg, (WIDTH, HEIGHT))


def test_fill_bytes_before_a_marker_belong_to_it(jpeg):
    filled = jpeg[:2] + b"\xff\xff" + jpeg[2:-2] + b"\xff\xff" + jpeg[-2:]
    assert trim_jpeg(filled) == (filled, (WIDTH, HEIGHT))
    assert decode_jpeg(filled).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_a_jpeg_cut_anywhere_is_told(pixels, options):
    data = made_by_opencv(pixels, *options)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="JPEG"):
            trim_jpeg(data[:length])
        if length < data.index(b"\xff\xc2" if options[:1] == (cv2.IMWRITE_JPEG_PROGRESSIVE,) else b"\xff\xc0") + 19:
            with pytest.raises(ValueError, match="JPEG"):
                jpeg_size(data[:length])
        else:
            assert jpeg_size(data[:length]) == (WIDTH, HEIGHT)


def test_a_jpeg_within_which_the_next_begins_is_told(jpeg):
    for place in (len(jpeg) // 2, len(jpeg) - 5):
        with pytest.raises(ValueError, match="another begins"):
            trim_jpeg(jpeg[:place] + jpeg)


def test_random_damage_raises_nothing_but_a_value_error(pixels):
    random = np.random.default_rng(8)
    told = 0
    for data in (made_by_opencv(pixels), made_by_opencv(pixels, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
        for _ in range(500):
            damaged = bytearray(data)
            for place in random.integers(2, min(len(data), 700), 3):
                damaged[place] = random.choice([0, 1, 0xD8, 0xDA, 0xFF, random.integers(256)])
            for read in (jpeg_size, trim_jpeg):
                try:
                    read(bytes(damaged))
                except ValueError:
                    told += 1
    assert told > 100


def test_a_jpeg_that_claims_no_size_is_refused(jpeg):
    place = jpeg.index(b"\xff\xc0")
    for hollow in (jpeg[: place + 5] + bytes(2) + jpeg[place + 7 :], jpeg[: place + 7] + bytes(2) + jpeg[place + 9 :]):
        with pytest.raises(ValueError, match="not say its size"):
            jpeg_size(hollow)
    with pytest.raises(ValueError, match="without a picture"):
        trim_jpeg(jpeg[:2] + jpeg[-2:])


def test_a_cameras_bytes_go_into_a_message_and_come_out_as_they_were(jpeg):
    message = encode_message(Jpeg(3_000_000_001, jpeg, 0, (WIDTH, HEIGHT)))
    assert decode_message(message) == jpeg
    assert (decode_pixels(message) == decode_jpeg(jpeg)).all()


def test_a_message_cut_anywhere_holds_no_picture(jpeg):
    message = encode_message(Jpeg(3_000_000_001, jpeg, 0, (WIDTH, HEIGHT)))
    for length in range(0, len(message), 7):
        with pytest.raises(ValueError, match=r"no image|no picture"):
            decode_pixels(message[:length])
