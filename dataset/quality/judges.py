"""The rules: what was measured, held against its threshold, in words that say what to do."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ...rig.clip.header import RECOVERED
from ..loading import COLDEST_C, WARMEST_C
from ..tags import TagError, Vocabulary
from .evidence import OUT_OF_RANGE, STALE, STRAY, Evidence
from .measures import Look, find_warmth, measure_drift, measure_shift
from .rules import FAIL, OK, WARN, Finding, Purpose

_SLEPT_NS = 100_000_000  # by which CLOCK_BOOTTIME must run ahead of CLOCK_MONOTONIC; reading the two takes microseconds
_LIGHTEN_SENSOR = "stop other programs on the rig's computer, or shorten the sensor's wires"
_LIGHTEN_CAMERA = "stop other programs on the rig's computer, or lower [camera] rate in the rig file"
_CALIBRATE = "run `lrt calibrate` on clips of this rig"
EVENTS = {
    "bus-error": ("failed reads", "shorten the sensor's wires, and fasten its plugs"),
    "overflow": ("overflows of the sensor", "keep hot things out of its view"),
    "device-lost": ("losses of a device", "fasten the plugs of sensor and camera"),
    "dropped": ("times when the disk was too slow", "use a faster card, or lower [camera] rate in the rig file"),
    "throttled": ("times when the computer was held back", "use the Pi's own power supply, and give it air"),
}


def _find(rule: str, level: str, says: str, do: str, share: float = 0.0) -> Finding:
    """A finding; what to do only where something is to be done."""
    return Finding(rule, level, says, "" if level == OK else do, round(float(share), 6))


def _grade(seen: Evidence, share: float, most: float) -> str:
    """The level of a share of which up to `most` is ok."""
    return FAIL if share > seen.rules.most_broken else WARN if share > most else OK


# ------------------------------------------------------------------------------------- what was told about the clip


def judge_tags(seen: Evidence, vocabulary: Vocabulary) -> Iterator[Finding]:
    """Whether the tags are in the vocabulary."""
    header = seen.recording.header
    try:
        vocabulary.check(header.clothing, header.lighting, header.occupants)
    except TagError as error:
        says, _, do = str(error).partition("; ")  # our errors say what was found, then what to do
        yield Finding("tags", FAIL, says, do, 1.0)
    else:
        yield Finding("tags", OK, f"{header.clothing}, {header.lighting}, {header.occupants} in view")


def judge_consent(seen: Evidence, wanted: Purpose | None) -> Iterator[Finding]:
    """Whether those in view agreed to what the clip is wanted for."""
    header = seen.recording.header
    if header.synthetic:
        yield Finding("consent", OK, "the twin recorded nobody")
    elif wanted is None:
        yield Finding("consent", OK, "not looked at")
    elif reason := wanted.ledger.refuse(header.consent, wanted.scope, wanted.on, seen.recording.sha256):
        yield Finding("consent", FAIL, reason, "leave the clip out, or ask for a consent that goes so far", 1.0)
    elif unknown := wanted.ledger.unknown(header.consent):
        says = f"consent {', '.join(unknown)} is in no ledger beside the clip"
        yield Finding("consent", WARN, says, f"note it with `lrt consent add {unknown[0]}`", 1.0)
    else:
        yield Finding("consent", OK, f"{header.consent} covers {wanted.scope}")


def judge_calibration(seen: Evidence) -> Iterator[Finding]:
    """Whether the calibration is good, and for such clips."""
    header, calibration = seen.recording.header, seen.calibration
    if calibration is None:
        yield Finding("calibration", OK, "not looked at")
    elif header.image_size is not None and header.image_size != calibration.image_size:
        own, other = ("x".join(map(str, size)) for size in (header.image_size, calibration.image_size))
        yield Finding("calibration", FAIL, f"pictures are {own}, the calibration is for {other}", _CALIBRATE, 1.0)
    elif header.synthetic != calibration.synthetic:
        made = "the twin's" if calibration.synthetic else "of a real rig"
        yield Finding("calibration", FAIL, f"the calibration is {made}, the clip is not", _CALIBRATE, 1.0)
    elif calibration.verdict != "PASS":
        says = f"the calibration's verdict is {calibration.verdict}"
        yield Finding("calibration", WARN, says, calibration.advice or _CALIBRATE, 1.0)
    else:
        yield Finding("calibration", OK, "PASS")


# ------------------------------------------------------------------------------------------------ the whole of it


def judge_recording(seen: Evidence) -> Iterator[Finding]:
    """Whether there is enough of it, and whether it ended in order."""
    header, count = seen.recording.header, len(seen.heatmaps)
    says = f"{count} heatmaps, {len(seen.image_ns)} pictures"
    if not seen.has_both:
        yield Finding("length", FAIL, says, "run `lrt check`, then record again", 1.0)
    elif count < seen.rules.least_heatmaps:
        says = f"{says}: too few to judge pixels, drift and warmth by"
        yield Finding("length", WARN, says, "record ten seconds or more", 1.0)
    else:
        yield Finding("length", OK, says)
    if header.state == RECOVERED:
        yield Finding("recovered", WARN, str(header.ended), "see with `lrt clips play` whether its end is missed", 1.0)
    else:
        yield Finding("recovered", OK, f"ended {header.ended}")


def judge_events(seen: Evidence) -> Iterator[Finding]:
    """What the rig noted while it recorded."""
    events = seen.recording.events()
    counts = Counter(event.kind for event in events)
    details = {event.kind: event.detail for event in events}  # the last of each kind
    for kind, (what, do) in EVENTS.items():
        most = seen.rules.most_bus_errors * len(seen.heatmaps) if kind == "bus-error" else 0
        level = WARN if counts[kind] > most else OK
        yield replace(_find(kind, level, f"{counts[kind]} {what}", do), noted=details.get(kind, ""))


# -------------------------------------------------------------------------------------------------------- the times


def judge_times(seen: Evidence) -> Iterator[Finding]:
    """Whether stamps ascend, and whether both streams' stamps are by one clock."""
    backwards, slept_ns = seen.heat_pace.backwards + seen.image_pace.backwards, _slept_ns(seen)
    if backwards:
        says = f"{backwards} frames are stamped no later than the one before"
        share = backwards / (len(seen.heat_ns) + len(seen.image_ns))
        yield Finding("times", FAIL, says, "restart the rig's computer, and record again", share)
    elif slept_ns > _SLEPT_NS:
        says = f"the computer slept for {slept_ns / 1e9:.1f} s, which no stamp shows"
        yield Finding("times", WARN, says, "switch its sleep off, and record again", 1.0)
    else:
        yield Finding("times", OK, "every frame is later than the one before")
    yield _judge_shift(seen)


def _slept_ns(seen: Evidence) -> int:
    """How long the computer slept while it recorded: CLOCK_BOOTTIME goes on, the stamps' CLOCK_MONOTONIC does not."""
    start, stop = (seen.recording.header.clocks.get(end) for end in ("start", "stop"))
    if start is None or stop is None:
        return 0
    return (stop["boot_ns"] - start["boot_ns"]) - (stop["mono_ns"] - start["mono_ns"])


def _judge_shift(seen: Evidence) -> Finding:
    heat_places, image_places = seen.recording.places
    moved = measure_shift(seen.heat_ns, heat_places, seen.image_ns, image_places)
    if moved is None:
        return Finding("clock-drift", OK, "too short a clip to tell")
    shift_ms, over_s = moved
    limit_ms = max(seen.rules.most_skew_ppm * over_s / 1e3, seen.rules.skew_images * seen.image_pace.period_ms)
    if abs(shift_ms) <= limit_ms:
        return Finding(
            "clock-drift", OK, f"within {over_s:.0f} s heat and pictures keep together, to {limit_ms:.0f} ms"
        )
    says = f"within {over_s:.0f} s heat and pictures move {abs(shift_ms):.0f} ms apart: their stamps are by two clocks"
    return Finding("clock-drift", WARN, says, "record shorter clips, or use another camera or driver", 1.0)


def judge_paces(seen: Evidence) -> Iterator[Finding]:
    """Whether frames are missing, of either stream."""
    rules = seen.rules
    for name, what, pace, count, do in (
        ("heat", "heatmaps", seen.heat_pace, len(seen.heat_ns), _LIGHTEN_SENSOR),
        ("picture", "pictures", seen.image_pace, len(seen.image_ns), _LIGHTEN_CAMERA),
    ):
        share = pace.gaps / (count - 1)
        gappy = share > rules.most_gaps or pace.longest_ms > rules.longest_gap * pace.period_ms
        says = f"{pace.gaps} gaps, the longest distance {pace.longest_ms:.0f} ms, the usual {pace.period_ms:.0f} ms"
        yield _find(f"{name}-gaps", WARN if gappy else OK, says, do, share)
        says = f"{100 * pace.missing:.1f} % of the {what} are missing"
        yield _find(f"{name}-missing", _grade(seen, pace.missing, rules.most_missing), says, do, pace.missing)


def judge_pairing(seen: Evidence) -> Iterator[Finding]:
    """Whether heatmaps have a picture, and how near."""
    rules = seen.rules
    unpaired = 1 - len(seen.heat_index) / len(seen.heatmaps)
    level = _grade(seen, unpaired, rules.most_unpaired)
    says = f"{100 * unpaired:.1f} % of the heatmaps have no picture within {rules.max_gap_ms:g} ms"
    if len(seen.error_ns):
        error_ms = float(np.percentile(np.abs(seen.error_ns), 95)) / 1e6
        says += f", 95 % of the others have one within {error_ms:.0f} ms"
        if level == OK and error_ms > rules.most_error_ms:
            level = WARN
    yield _find("pairing", level, says, "raise [camera] rate in the rig file: 30/s gives 17 ms", unpaired)


# --------------------------------------------------------------------------------------------------------- the heat


def judge_heat(seen: Evidence) -> Iterator[Finding]:
    """Whether heatmaps are new, and their values such as a room has."""
    rules = seen.rules
    span = f"{rules.coldest_c:g}..{rules.warmest_c:g} degC"
    for rule, reason, says, do in (
        ("stale-heat", STALE, "repeat the one before: stale reads", _LIGHTEN_SENSOR),
        ("heat-range", OUT_OF_RANGE, f"leave {span}", "keep hot things out of its view, or replace the sensor"),
        ("stray-pixels", STRAY, "have a pixel that no room has", "check the sensor's wires"),
    ):
        share = float(seen.unusable[reason].mean()) if reason in seen.unusable else 0.0
        says = f"{100 * share:.1f} % of the heatmaps {says}"
        yield _find(rule, _grade(seen, share, rules.most_left_out), says, do, share)
    clipped = float(((seen.celsius < COLDEST_C) | (seen.celsius > WARMEST_C)).mean())
    says = f"{100 * clipped:.1f} % of the heat is outside {COLDEST_C:g}..{WARMEST_C:g} degC, the range that models see"
    level = WARN if clipped > rules.most_clipped else OK
    yield _find("model-range", level, says, "record in a room of 20 to 26 degC", clipped)


def judge_sensor(seen: Evidence) -> Iterator[Finding]:
    """Whether every pixel lives, and the sensor's own temperature keeps still."""
    rules = seen.rules
    if len(seen.heatmaps) < rules.least_heatmaps:
        return
    dead = np.argwhere(seen.dead)
    level = FAIL if len(dead) > rules.most_dead else WARN if len(dead) else OK
    which = ", ".join(f"({row}, {column})" for row, column in dead[:4])
    says = f"{len(dead)} pixels are dead" + (f": {which}{', ...' if len(dead) > 4 else ''}" if len(dead) else "")
    yield _find("dead-pixels", level, says, "switch the sensor off and on, or replace it", len(dead) / seen.dead.size)
    drift_c = measure_drift(np.array([heatmap.thermistor_c for heatmap in seen.heatmaps]))
    level = WARN if drift_c > rules.most_drift_c else OK
    says = f"the sensor's own temperature moved by {drift_c:.1f} K"
    yield _find("sensor-drift", level, says, "let it warm up for some minutes, away from sun and draught")


def judge_warmth(seen: Evidence) -> Iterator[Finding]:
    """Whether the heat bears out the tag `occupants`."""
    if len(seen.good) < seen.rules.least_heatmaps:
        return
    rules, tagged = seen.rules, seen.recording.header.occupants
    celsius = seen.good.copy()
    celsius[:, seen.dead] = np.median(celsius, axis=(1, 2))[:, None]
    contrast, moving = find_warmth(celsius)
    visits = float((moving > rules.body_moves_c).mean())
    body = float(((contrast > rules.body_c) | (moving > rules.body_moves_c)).mean())
    stands_out_c = float(np.median(contrast))
    if tagged and body < rules.least_body:
        says = f"tagged {tagged} in view, and {100 * (1 - body):.0f} % of the heatmaps show nobody warm"
        do = "`lrt clips tag --occupants 0`, or look whether the sensor sees what the camera sees"
        yield Finding("warmth", FAIL, says, do, 1 - body)
    elif tagged:
        yield Finding("warmth", OK, f"somebody warm is in {100 * body:.0f} % of the heatmaps", share=body)
    elif visits > rules.most_body:
        says = f"tagged empty, and in {100 * visits:.0f} % of the heatmaps something warm moves"
        do = "watch it with `lrt clips play`; if somebody is there, `lrt clips tag --occupants 1`"
        yield Finding("warmth", FAIL if visits > rules.most_visits else WARN, says, do, visits)
    elif stands_out_c > rules.warm_thing_c:
        says = f"tagged empty, and one place is {stands_out_c:.1f} K warmer all the time"
        yield Finding("warmth", WARN, says, "watch it with `lrt clips play`: is it a radiator, or somebody?", 1.0)
    else:
        yield Finding("warmth", OK, "nothing warm moves", share=visits)


# ----------------------------------------------------------------------------------------------------- the pictures


def judge_pictures(seen: Evidence) -> Iterator[Finding]:
    """Whether pictures show something, and something new."""
    rules = seen.rules
    tests: tuple[tuple[str, str, Callable[[Look], bool], str, str], ...] = (
        ("black", "black", lambda look: look.bright < rules.black, "take off the lens cap, or switch on a light", FAIL),
        (
            "overexposed",
            "over-exposed",
            lambda look: look.white > rules.white,
            "turn the rig away from the light",
            FAIL,
        ),
        # a bare wall may look so as well, so that a clip does not fail for it
        (
            "blurred",
            "blurred",
            lambda look: look.bright >= rules.black and look.sharp < rules.sharp,
            "clean and focus the lens; if it shows a bare wall, all is well",
            WARN,
        ),
    )
    for rule, what, is_odd, do, worst in tests:
        share = float(np.mean([is_odd(look) for look in seen.looks]))
        level = _grade(seen, share, rules.most_odd_looks)
        says = f"{100 * share:.0f} % of {len(seen.looks)} pictures looked at are {what}"
        yield _find(rule, worst if level == FAIL else level, says, do, share)
    share = float(seen.repeated.mean())
    level = _grade(seen, share, rules.most_repeats)
    says = f"{100 * share:.1f} % of the pictures repeat the one before"
    yield _find("frozen-pictures", level, says, "restart the camera, and record again", share)
