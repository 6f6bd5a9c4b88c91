"""Every quality rule: a clip that trips it, made by the real writer, and clips of the twin that trip none."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.consent import Consent, ConsentError, Ledger
from lrt.dataset.ledger import add_consent
from lrt.dataset.quality import (
    FAIL,
    FROZEN,
    OK,
    OUT_OF_RANGE,
    RULES,
    STALE,
    STRAY,
    WARN,
    ClipQuality,
    Purpose,
    QualityRules,
    inspect_clip,
)
from lrt.dataset.quality.measures import find_dead_pixels, find_warmth, look_at, measure_pace
from lrt.dataset.tags import CLOTHING, LIGHTING, Vocabulary
from lrt.rig.clip import ClipError, ClipHeader, ClipWriter, open_clip, recover_clip
from lrt.rig.records import EVENT_KINDS, Event, Heatmap, Image, Jpeg
from lrt.rig.settings import CameraSettings, RigSettings, SensorSettings, TwinScene, open_rig
from lrt.rig.station import record
from lrt.rig.timing.clock import VirtualClock

MS_NS = 1_000_000
START_NS = 5_000 * MS_NS
HEAT_NS, IMAGE_NS = 100 * MS_NS, 33_333_333
FRAMES = 60
ROOM_C, BODY_K = 22.0, 6.0


def heat_of(frame: int, occupants: int) -> np.ndarray:
    """(8, 8) int16: a room with the sensor's noise and, where somebody is, a body that walks to and fro."""
    down, across = np.mgrid[0:8, 0:8]
    middle = 3.5 + 3 * np.sin(frame / 6)
    body = BODY_K * np.exp(-((across - middle) ** 2) / 2 - (down - 4.5) ** 2 / 8) if occupants else 0.0
    noise = np.random.default_rng([1, frame]).normal(0, 0.25, (8, 8))
    return np.rint(4 * (ROOM_C + body + noise)).astype(np.int16)


@cache
def picture_of(number: int) -> np.ndarray:
    """(120, 160, 3) uint8: squares, and a camera's noise."""
    squares = np.random.default_rng(2).integers(40, 200, (12, 16, 3), np.uint8)
    picture = cv2.resize(squares, (160, 120), interpolation=cv2.INTER_NEAREST).astype(np.float32)
    noise = np.random.default_rng([3, number]).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def stream(
    frames: int = FRAMES,
    occupants: int = 1,
    heat: Callable[[int, Heatmap], Heatmap | None] = lambda _, heatmap: heatmap,
    image: Callable[[int, Image], Image | Jpeg | None] = lambda _, image: image,
    events: Sequence[str] = (),
) -> Iterator[Heatmap | Image | Jpeg | Event]:
    """A clip's records as they come: 10 heatmaps and 30 pictures a second, each as `heat` and `image` make it."""
    records: list[tuple[int, int, Any]] = []
    for frame in range(frames):
        at_ns = START_NS + frame * HEAT_NS
        heatmap = heat(frame, Heatmap(at_ns, heat_of(frame, occupants), 352, frame, at_ns, at_ns))
        records.append((at_ns, 1, heatmap))
    for number in range(3 * frames):
        at_ns = START_NS + number * IMAGE_NS
        records.append((at_ns, 0, image(number, Image(at_ns, picture_of(number), number))))
    records += [(START_NS, 2, Event(START_NS, kind, f"{kind} happened.")) for kind in events]
    yield from (each for _, _, each in sorted(records, key=lambda found: found[:2]) if each is not None)


def write(folder: Path, records: Iterator[Any], **fields: Any) -> Path:
    """A clip of these records."""
    tags = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07", "rig": {}, **fields}
    with ClipWriter(folder, ClipHeader(clip_id="kitchen-01", **tags), VirtualClock(START_NS)) as writer:
        write_all(writer, records)
    return writer.folder


def write_all(writer: ClipWriter, records: Iterator[Any]) -> None:
    for each in records:
        if isinstance(each, Heatmap):
            writer.write_heatmap(each)
        elif isinstance(each, Event):
            writer.write_event(each)
        else:
            writer.write_image(each)


@pytest.fixture
def inspect(tmp_path: Path) -> Callable[..., ClipQuality]:
    """`inspect(heat=..., occupants=0, ...)` -> what the rules find in such a clip."""

    def call(tags: dict[str, Any] | None = None, **changes: Any) -> ClipQuality:
        given = {name: changes.pop(name) for name in ("calibration", "consent", "vocabulary") if name in changes}
        fields = {"occupants": changes.get("occupants", 1), **(tags or {})}
        return inspect_clip(open_clip(write(tmp_path, stream(**changes), **fields)), **given)

    return call


def levels(quality: ClipQuality) -> dict[str, str]:
    """{rule: level} of what is not ok."""
    return {finding.rule: finding.level for finding in quality.findings if finding.level != OK}


def test_a_good_clip_is_ok_by_every_rule_and_all_its_heatmaps_are_usable(
    inspect: Callable[..., ClipQuality], calibration: Calibration
) -> None:
    ledger = Ledger(Path("consents.toml"), (Consent("P07", "S-1234", "publish", date(2026, 1, 1)),))

    quality = inspect(calibration=calibration, consent=Purpose(ledger, "publish"))

    assert levels(quality) == {}
    assert quality.level == OK
    assert quality.unusable == {}
    assert sorted(finding.rule for finding in quality.findings) == sorted(RULES)
    assert all(finding.says and not finding.do for finding in quality.findings)


def test_an_empty_room_is_ok_too(inspect: Callable[..., ClipQuality]) -> None:
    assert levels(inspect(occupants=0)) == {}


# ------------------------------------------------------------------------------------------------------- single rules


def without(*numbers: int) -> Callable[[int, Any], Any]:
    """Leaves these frames out."""
    return lambda number, record: None if number in numbers else record


def edited(change: Callable[[int, np.ndarray], Any]) -> Callable[[int, Heatmap], Heatmap]:
    """Changes raw values in place."""

    def edit(frame: int, heatmap: Heatmap) -> Heatmap:
        raw = heatmap.raw.copy()
        change(frame, raw)
        return replace(heatmap, raw=raw)

    return edit


def repainted(paint: Callable[[np.ndarray], np.ndarray], since: int = 0) -> Callable[[int, Image], Image]:
    """Changes pictures from one on."""

    def repaint(number: int, image: Image) -> Image:
        return replace(image, pixels=paint(image.pixels)) if number >= since else image

    return repaint


def heat_pixel(row: int, column: int, raw: int, *frames: int) -> Callable[[int, Heatmap], Heatmap]:
    """One pixel reads this in these frames, in all if none is named."""

    def change(frame: int, values: np.ndarray) -> None:
        if not frames or frame in frames:
            values[row, column] = raw

    return edited(change)


def repeat_heat(*frames: int) -> Callable[[int, Heatmap], Heatmap]:
    return lambda frame, heatmap: replace(heatmap, raw=heat_of(frame - 1, 1)) if frame in frames else heatmap


def lame_pixel(frame: int, raw: np.ndarray) -> None:
    """The pixel before which the body passes shows the room alone."""
    raw[4, 4] = 4 * ROOM_C + np.random.default_rng([5, frame]).integers(-1, 2)


def dead_row(_: int, raw: np.ndarray) -> None:
    raw[2, :5] = 88


def warmer(kelvin: float) -> Callable[[int, Heatmap], Heatmap]:
    """The whole room is."""
    return edited(lambda _, raw: np.add(raw, round(4 * kelvin), out=raw))


def radiator(_: int, raw: np.ndarray) -> None:
    raw[5:7, 1:3] += 16


def passes_by(frame: int, raw: np.ndarray) -> None:
    """Somebody crosses the room within a second."""
    if 20 <= frame < 30:
        raw[:] = np.maximum(raw, heat_of(frame, 1))


def warming(frame: int, heatmap: Heatmap) -> Heatmap:
    return replace(heatmap, thermistor_raw=352 + frame // 2)


def drifting(_: int, image: Image) -> Image:
    """The camera stamps by a clock that is 2 % slow: 90 ms from the first quarter to the last."""
    return replace(image, timestamp_ns=START_NS + round((image.timestamp_ns - START_NS) * 0.98))


def blur(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), 6)


def late(number: int, image: Image) -> Image | None:
    """Ten pictures a second, each 40 ms after its heatmap."""
    return None if number % 3 else replace(image, timestamp_ns=image.timestamp_ns + 40 * MS_NS)


def stuck_camera(number: int, image: Image) -> Image:
    return replace(image, pixels=picture_of(min(number, 60)))


@pytest.mark.parametrize(
    ("rule", "level", "changes"),
    [
        ("tags", FAIL, {"tags": {"clothing": "pink"}}),
        ("tags", FAIL, {"tags": {"lighting": "unknown"}}),
        ("length", WARN, {"frames": 20}),
        ("length", FAIL, {"image": lambda *_: None}),
        ("length", FAIL, {"heat": lambda *_: None}),
        ("times", FAIL, {"image": lambda n, image: replace(image, timestamp_ns=START_NS) if n < 2 else image}),
        ("times", FAIL, {"image": lambda n, image: replace(image, sequence=image.sequence ^ 1) if n > 80 else image}),
        ("clock-drift", WARN, {"image": drifting}),
        ("heat-gaps", WARN, {"heat": without(20)}),
        ("heat-missing", WARN, {"heat": without(20, 30, 40)}),
        ("heat-missing", FAIL, {"heat": without(*range(25, FRAMES))}),
        ("picture-gaps", WARN, {"image": without(20, 50)}),
        ("picture-missing", WARN, {"image": without(*range(60, 70))}),
        ("picture-missing", FAIL, {"image": without(*range(60, 3 * FRAMES))}),
        ("pairing", WARN, {"image": without(*range(60, 75))}),
        ("pairing", WARN, {"image": late}),
        ("pairing", FAIL, {"image": without(*range(60, 3 * FRAMES))}),
        ("stale-heat", WARN, {"heat": repeat_heat(10)}),
        ("stale-heat", FAIL, {"heat": lambda frame, heatmap: replace(heatmap, raw=heat_of(min(frame, 20), 1))}),
        ("heat-range", WARN, {"heat": heat_pixel(0, 0, 4 * 81, 10)}),
        ("heat-range", WARN, {"heat": lambda frame, heatmap: replace(heatmap, status=4 * (frame == 10))}),
        ("heat-range", FAIL, {"heat": heat_pixel(0, 0, -8)}),
        ("stray-pixels", WARN, {"heat": heat_pixel(3, 3, 1, 10)}),
        ("stray-pixels", WARN, {"heat": heat_pixel(3, 3, 4 * 60, 10)}),
        ("model-range", WARN, {"heat": warmer(8)}),
        ("dead-pixels", WARN, {"heat": heat_pixel(0, 7, 88)}),
        ("dead-pixels", WARN, {"heat": edited(lame_pixel)}),
        ("dead-pixels", FAIL, {"heat": edited(dead_row)}),
        ("sensor-drift", WARN, {"heat": warming}),
        ("warmth", FAIL, {"occupants": 0, "tags": {"occupants": 1}}),
        ("warmth", FAIL, {"occupants": 1, "tags": {"occupants": 0}}),
        ("warmth", FAIL, {"occupants": 0, "heat": edited(passes_by)}),
        ("warmth", WARN, {"occupants": 0, "heat": edited(radiator)}),
        ("black", FAIL, {"image": repainted(lambda pixels: pixels // 20)}),
        ("black", WARN, {"image": repainted(lambda pixels: pixels // 20, since=140)}),
        ("overexposed", FAIL, {"image": repainted(lambda pixels: pixels | 252)}),
        ("overexposed", WARN, {"image": repainted(lambda pixels: pixels | 252, since=140)}),
        ("blurred", WARN, {"image": repainted(blur)}),
        ("frozen-pictures", WARN, {"image": lambda n, image: replace(image, pixels=picture_of(n - n % 10 // 9))}),
        ("frozen-pictures", FAIL, {"image": stuck_camera}),
        *(
            (kind, WARN, {"events": [kind]})
            for kind in ("overflow", "device-lost", "dropped", "throttled", "bus-error")
        ),
    ],
)
def test_a_rule_is_tripped_by_what_it_is_for(
    inspect: Callable[..., ClipQuality], rule: str, level: str, changes: dict[str, Any]
) -> None:
    quality = inspect(**changes)

    found = next(finding for finding in quality.findings if finding.rule == rule)
    assert found.level == level, quality.findings
    assert found.do
    assert found.rule in RULES


@pytest.mark.parametrize(
    "changes",
    [
        {"events": ["warming-up", "clock", "clock-step", "split", "glitch", "thermal-gap", "image-gap", "device-back"]},
        {"frames": 300, "heat": without(150), "events": ["bus-error", "bus-error"]},
        {"frames": 300, "image": without(400)},
        {"occupants": 0, "heat": edited(lambda frame, raw: np.add(raw, frame // 10, out=raw))},
        {"heat": lambda frame, heatmap: heatmap if frame < 2 else replace(heatmap, thermistor_raw=352 + frame // 10)},
    ],
    ids=["what is noted only", "a heatmap in half a minute", "a picture", "a room that warms up", "a sensor that does"],
)
def test_what_every_good_recording_has_trips_nothing(
    inspect: Callable[..., ClipQuality], changes: dict[str, Any]
) -> None:
    assert levels(inspect(**changes)) == {}


def test_every_kind_of_event_is_known_to_a_rule_or_left_to_another() -> None:
    told_otherwise = {"glitch", "thermal-gap", "image-gap", "device-back"}  # measured in the clip, or its loss is told
    harmless = {"warming-up", "clock", "clock-step", "split"}

    assert set(EVENT_KINDS) - set(RULES) == told_otherwise | harmless


def test_a_recovered_clip_is_to_be_looked_at(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, ClipHeader("kitchen-01", "red", "dim", 1, "P07", {}), VirtualClock(START_NS))
    write_all(writer, stream())
    writer.sync()
    writer.__exit__(KeyError, KeyError(), None)  # a bug: the clip stays as it is
    recover_clip(tmp_path / "kitchen-01.partial")

    quality = inspect_clip(open_clip(tmp_path / "kitchen-01"))

    assert levels(quality) == {"recovered": WARN}


def test_a_computer_that_slept_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, stream())
    header = ClipHeader.read(folder)
    stop = {**header.clocks["stop"], "boot_ns": header.clocks["stop"]["boot_ns"] + 2_000 * MS_NS}
    replace(header, clocks={**header.clocks, "stop": stop}).write(folder)

    quality = inspect_clip(open_clip(folder))

    assert levels(quality) == {"times": WARN}
    assert "slept for 2.0 s" in quality.warnings[0].says


def test_a_picture_that_cannot_be_decoded_is_an_error_of_one_line(inspect: Callable[..., ClipQuality]) -> None:
    with pytest.raises(ClipError, match=r"^clip kitchen-01: image 0: "):
        inspect(image=lambda n, image: Jpeg(image.timestamp_ns, b"no picture", n, (160, 120)))


# --------------------------------------------------------------------------------------- what was told about the clip


def test_a_vocabulary_of_ones_own_takes_its_labels(inspect: Callable[..., ClipQuality]) -> None:
    vocabulary = Vocabulary(2, (*CLOTHING, "pink"), LIGHTING)

    assert levels(inspect(tags={"clothing": "pink"}, vocabulary=vocabulary)) == {}


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"verdict": "WARN", "advice": "walk about more"}, WARN, "WARN"),
        ({"image_size": (640, 480)}, FAIL, "160x120, the calibration is for 640x480"),
        ({"synthetic": True}, FAIL, "the twin's"),
    ],
)
def test_a_calibration_must_be_good_and_for_such_clips(
    inspect: Callable[..., ClipQuality], calibration: Calibration, change: dict[str, Any], level: str, words: str
) -> None:
    quality = inspect(calibration=replace(calibration, **change))

    assert levels(quality) == {"calibration": level}
    found = next(finding for finding in quality.findings if finding.rule == "calibration")
    assert words in found.says
    assert found.do == change.get("advice", found.do)


@pytest.mark.parametrize(
    ("consent", "scope", "level"),
    [
        (None, "internal", WARN),
        (None, "share", FAIL),
        ({"scope": "internal"}, "internal", OK),
        ({"scope": "internal"}, "share", FAIL),
        ({"scope": "publish"}, "share", OK),
        ({"scope": "publish", "expires": date(2026, 6, 1)}, "internal", FAIL),
        ({"scope": "publish", "expires": date(2026, 6, 2)}, "publish", OK),
        ({"scope": "publish", "withdrawn": date(2026, 5, 1)}, "internal", FAIL),
    ],
)
def test_a_consent_must_stand_and_go_so_far(
    inspect: Callable[..., ClipQuality], consent: dict[str, Any] | None, scope: str, level: str
) -> None:
    consents = () if consent is None else (Consent("P07", "S-1234", signed=date(2026, 1, 1), **consent),)

    quality = inspect(consent=Purpose(Ledger(Path("consents.toml"), consents), scope, date(2026, 6, 2)))

    assert levels(quality) == ({} if level == OK else {"consent": level})


def test_a_scope_that_is_none_is_refused() -> None:
    with pytest.raises(ConsentError, match="scope 'world' is not known"):
        Purpose(Ledger(Path("consents.toml")), "world")


# ------------------------------------------------------------------------------------------- heatmaps that are no pair


@pytest.mark.parametrize(
    ("reason", "frames", "changes"),
    [
        (
            STALE,
            [10, 11, 40],
            {"heat": lambda f, h: replace(h, raw=heat_of(9 if f in (10, 11) else 39 if f == 40 else f, 1))},
        ),
        (OUT_OF_RANGE, [5, 6], {"heat": heat_pixel(1, 2, 4 * 90, 5, 6)}),
        (STRAY, [7], {"heat": heat_pixel(1, 2, 2, 7)}),
        (FROZEN, [20], {"image": lambda n, image: replace(image, pixels=picture_of(59 if n == 60 else n))}),
    ],
)
def test_heatmaps_that_must_not_become_pairs_are_told_with_the_reason(
    inspect: Callable[..., ClipQuality], reason: str, frames: list[int], changes: dict[str, Any]
) -> None:
    quality = inspect(**changes)

    assert list(quality.unusable) == [reason]
    assert quality.unusable[reason].dtype == bool
    assert quality.unusable[reason].shape == (FRAMES,)
    assert np.flatnonzero(quality.unusable[reason]).tolist() == frames
    assert quality.as_dict()["unusable"] == {reason: len(frames)}


def test_a_rule_may_be_waived_and_others_still_fail(inspect: Callable[..., ClipQuality]) -> None:
    quality = inspect(tags={"clothing": "pink"}, image=repainted(lambda pixels: pixels // 20))

    assert [found.rule for found in quality.failures()] == ["tags", "black"]
    assert [found.rule for found in quality.failures(("tags",))] == ["black"]
    assert quality.failures(("tags", "black")) == ()
    assert quality.level == FAIL


def test_thresholds_are_settings(tmp_path: Path) -> None:
    recording = open_clip(write(tmp_path, stream(heat=without(20))))

    assert levels(inspect_clip(recording)) == {"heat-gaps": WARN}
    assert levels(inspect_clip(recording, QualityRules(most_gaps=0.1))) == {}


# ----------------------------------------------------------------------------------------------------------- measures


def test_missing_frames_are_counted_at_the_ends_as_within() -> None:
    times_ns = np.arange(100, dtype=np.int64) * HEAT_NS
    sequence = np.arange(100)
    span_ns = int(times_ns[-1])

    assert measure_pace(times_ns, sequence, span_ns, 1.5).missing == 0
    assert measure_pace(times_ns[:75], sequence[:75], span_ns, 1.5).missing == pytest.approx(0.25, abs=0.01)
    every_other = measure_pace(times_ns[::2], sequence[::2], span_ns, 1.5)
    assert every_other.period_ms == pytest.approx(100)
    assert every_other.missing == pytest.approx(0.5, abs=0.01)


def test_a_dead_pixel_is_found_where_it_is_and_no_other() -> None:
    celsius = np.stack([heat_of(frame, 1) for frame in range(FRAMES)]) / np.float32(4)
    assert not find_dead_pixels(celsius).any()

    celsius[:, 6, 1] = 23.25

    assert np.argwhere(find_dead_pixels(celsius)).tolist() == [[6, 1]]


def test_somebody_who_sits_still_stands_out_and_does_not_move() -> None:
    noise = np.random.default_rng(0).normal(ROOM_C, 0.25, (100, 8, 8)).astype(np.float32)
    noise[:, 3:6, 3:5] += 4

    contrast, moving = find_warmth(noise)

    assert contrast.min() > QualityRules.body_c
    assert moving.max() < QualityRules.body_moves_c


def test_sharpness_is_judged_at_the_size_that_is_published() -> None:
    """A blur by a published pixel is found at every size that was recorded, and through a camera's noise."""
    squares = np.random.default_rng(2).integers(40, 200, (6, 8), np.uint8)
    for width in (320, 640, 1280):
        sharp = cv2.resize(squares, (width, width * 3 // 4), interpolation=cv2.INTER_NEAREST).astype(np.float32)
        blurred = cv2.GaussianBlur(sharp, (0, 0), width / 64) + np.random.default_rng(3).normal(0, 4, sharp.shape)
        assert look_at(sharp.astype(np.uint8)).sharp > 3 * QualityRules.sharp
        assert look_at(np.clip(blurred, 0, 255).astype(np.uint8)).sharp < QualityRules.sharp


# ----------------------------------------------------------------------------------------------------------- the twin


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three seconds of every clothing in every light, and of the empty room in both."""
    root = tmp_path_factory.mktemp("twins")
    settings = RigSettings(SensorSettings(kind="twin"), CameraSettings(kind="twin", size=(160, 120), rate=15.0))
    scenes = [(clothing, lighting, 1) for lighting in LIGHTING for clothing in CLOTHING]
    for clothing, lighting, occupants in [*scenes, ("white", "bright", 0), ("white", "dim", 0)]:
        name = f"{clothing}-{lighting}-{occupants}"
        with open_rig(settings, TwinScene(clothing, lighting, occupants, name)) as rig:
            header = ClipHeader(
                name, clothing, lighting, occupants, "TWIN", settings.as_dict(), synthetic=True, twin=rig.truth
            )
            record(rig, root, header, 3.3, threading.Event())
    return sorted(root.iterdir())


def test_no_clip_of_the_twin_raises_an_alarm(twins: list[Path]) -> None:
    assert len(twins) == 12
    assert {folder.name: levels(inspect_clip(open_clip(folder))) for folder in twins} == {
        folder.name: {} for folder in twins
    }


def test_inspecting_costs_less_than_a_millisecond_a_heatmap(twins: list[Path]) -> None:
    recordings = [open_clip(folder) for folder in twins]
    begun_s = time.process_time()
    for recording in recordings:
        inspect_clip(recording)
    spent_s = time.process_time() - begun_s

    assert spent_s / sum(len(recording.heatmaps()) for recording in recordings) < 1e-3


# -------------------------------------------------------------------------------------------------------- the command


def test_verify_says_a_clip_a_line_and_then_what_to_do(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    good = write(tmp_path / "good", stream())
    doubtful = write(tmp_path / "doubtful", stream(heat=without(20), events=["dropped"]))
    bad = write(tmp_path / "bad", stream(), clothing="pink")
    for folder in (good, doubtful, bad):
        add_consent(folder.parent, "P07", "publish", date(2026, 1, 1))

    code, out, err = run("clips", "verify", good, doubtful)
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["ok", "kitchen-01"],
        ["warn", "kitchen-01"],
        ["warn", "heat-gaps"],
        ["->", "stop"],
        ["warn", "dropped"],
        ["->", "use"],
        ["1", "ok,"],
    ]
    assert "1 times when the disk was too slow (the last: dropped happened)" in out
    assert "6.0 s     60 heatmaps    180 pictures" in out.splitlines()[0]

    code, out, err = run("clips", "verify", good, bad, "--json")
    result = json.loads(out)
    assert (code, err) == (1, "")
    assert result["level"] == "fail"
    assert [clip["level"] for clip in result["clips"]] == ["ok", "fail"]
    assert [clip["whole"] for clip in result["clips"]] == [True, True]
    found = next(each for each in result["clips"][1]["findings"] if each["rule"] == "tags")
    assert found["says"] == "clothing 'pink' is not in the vocabulary"


def test_verify_looks_at_calibration_and_consent_where_it_is_told_to(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, calibration: Calibration
) -> None:
    clip = write(tmp_path / "clips", stream())
    add_consent(clip.parent, "P07", "internal", date(2026, 1, 1))
    write_calibration(replace(calibration, verdict="WARN", advice="walk about more"), tmp_path / "c.json")

    code, out, _ = run("clips", "verify", clip, "--calibration", tmp_path / "c.json")
    assert (code, "-> walk about more" in out) == (0, True)
    code, out, _ = run("clips", "verify", clip, "--scope", "publish")
    assert (code, "consent P07 is for internal, not for publish" in out) == (1, True)
    for options in (("--scope", "world"), ("--calibration", tmp_path / "none.json")):
        code, out, err = run("clips", "verify", clip, *options)
        assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_damaged_clip_is_one_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    clip = write(tmp_path, stream())
    content = bytearray((clip / "clip.mcap").read_bytes())
    content[len(content) // 2] ^= 0x10
    (clip / "clip.mcap").write_bytes(content)

    code, out, err = run("clips", "verify", clip)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "1 of 1 clips are not whole" in err
