"""An old calibration is held against new clips: it holds, it moved, or nobody can tell."""

from dataclasses import replace

import numpy as np
import pytest

from lrt.calibration.check import check_calibration, refuse_other_rigs
from lrt.calibration.fitting import Fit, fit_calibration
from lrt.calibration.geometry import Calibration, CalibrationError

FRAMES = 140
OLD_CLIPS, NEW_CLIPS = {"monday": "a" * 64}, {"friday": "b" * 64}


@pytest.fixture(scope="module")
def rig(simulate):
    """One rig: the first half of its frames are the calibration's, the second are new."""
    return simulate(903, frames=2 * FRAMES)


@pytest.fixture(scope="module")
def old(rig) -> Calibration:
    made = fit_calibration(rig.heatmaps[:FRAMES], rig.masks[:FRAMES], rig.image_size, clips=OLD_CLIPS)
    assert made.calibration.verdict == "PASS"
    return made.calibration


@pytest.fixture(scope="module")
def new(rig) -> Fit:
    made = fit_calibration(rig.heatmaps[FRAMES:], rig.masks[FRAMES:], rig.image_size, clips=NEW_CLIPS)
    assert made.calibration.verdict == "PASS"
    return made


@pytest.fixture
def check(rig, new, monkeypatch: pytest.MonkeyPatch):
    """`check_calibration` on the new frames; their fit, which does not depend on the old one, is made once."""
    monkeypatch.setattr("lrt.calibration.check.fit_calibration", lambda *_, **__: new)

    def call(calibration: Calibration, **options):
        given = {"clips": NEW_CLIPS, **options}
        return check_calibration(calibration, rig.heatmaps[FRAMES:], rig.masks[FRAMES:], rig.image_size, **given)

    return call


def test_a_rig_that_nobody_touched_holds(rig, old):
    found = check_calibration(old, rig.heatmaps[FRAMES:], rig.masks[FRAMES:], rig.image_size, clips=NEW_CLIPS)

    assert found.verdict == "HOLDS"
    assert max(found.sds.values()) <= 2
    assert found.r2 == pytest.approx(found.best_r2, abs=0.02)
    assert found.overlap == pytest.approx(found.best_overlap, abs=0.05)
    assert found.fit.calibration.clips == NEW_CLIPS
    assert not found.notes


@pytest.mark.parametrize(
    ("name", "share", "words"),
    [("tx", 0.25, "to the left of"), ("tx", -0.25, "to the right of"), ("ty", -0.5, "below"), ("s", 0.095, "smaller")],
)
def test_a_bracket_that_was_knocked_has_moved_and_says_which_way(check, old, new, name: str, share: float, words: str):
    """The old calibration is wrong by a share of a thermal pixel: the heat now lies the other way."""
    wrong = replace(old, **{name: getattr(new.calibration, name) + share * old.s, f"{name}_sd": 0.02 * old.s})
    found = check(wrong)

    assert found.verdict == "MOVED"
    assert words in found.advice
    assert found.advice.endswith("calibrate again with these clips, and tighten the bracket")
    assert found.moved[name] == pytest.approx(-share * old.s, rel=1e-6)
    assert found.sds[name] == max(found.sds.values()) > 3
    assert found.r2 < found.best_r2


def test_a_move_is_counted_in_the_spread_of_both_fits(check, old, new):
    wrong = replace(old, tx=new.calibration.tx + 5.0, tx_sd=3.0)

    assert check(wrong).sds["tx"] == pytest.approx(5.0 / np.hypot(3.0, new.calibration.tx_sd))


def test_between_two_and_three_standard_deviations_nobody_can_tell(check, old, new):
    sd = float(np.hypot(old.tx_sd, new.calibration.tx_sd))
    same = replace(old, ty=new.calibration.ty, s=new.calibration.s)
    verdicts = [check(replace(same, tx=new.calibration.tx + by * sd)).verdict for by in (1.9, 2.5, 3.1)]

    assert verdicts == ["HOLDS", "UNSURE", "MOVED"]


@pytest.mark.parametrize("other", [{"tx": 1.5}, {"s": 0.3}])
def test_another_rigs_calibration_is_called_that(check, old, new, other: dict[str, float]):
    [(name, share)] = other.items()
    found = check(replace(old, **{name: getattr(new.calibration, name) + share * old.s}))

    assert found.verdict == "MOVED"
    assert "another rig's" in found.advice
    assert "take that rig's calibration, or calibrate again" in found.advice


def test_the_time_offset_counts_where_both_fitted_it(check, old, new, monkeypatch: pytest.MonkeyPatch):
    timed = replace(new.calibration, offset_ms=40.0, offset_ms_sd=6.0)
    monkeypatch.setattr("lrt.calibration.check.fit_calibration", lambda *_, **__: replace(new, calibration=timed))
    same = replace(timed, tx_sd=old.tx_sd, ty_sd=old.ty_sd)

    late = check(replace(same, offset_ms=-20.0))
    assert late.verdict == "MOVED"
    assert late.advice.startswith("heat comes 60 ms later after the picture than it did")
    assert "offset_ms" not in check(replace(same, offset_ms=-20.0, offset_ms_sd=0.0)).moved


def test_what_the_new_clips_cannot_tell_is_unsure_and_says_what_to_do(check, old, new, monkeypatch: pytest.MonkeyPatch):
    poor = replace(new.calibration, verdict="WARN", advice="people stood still: walk about")
    monkeypatch.setattr("lrt.calibration.check.fit_calibration", lambda *_, **__: replace(new, calibration=poor))

    assert (check(old).verdict, check(old).advice) == ("UNSURE", "people stood still: walk about")


def test_a_calibration_that_was_never_sure_cannot_be_checked(check, old):
    found = check(replace(old, tx_sd=np.inf, verdict="WARN", advice="too short"))

    assert found.verdict == "UNSURE"
    assert "calibrate again" in found.advice
    assert found.notes == ("The calibration itself was a WARN: too short.",)


def test_clips_that_the_calibration_was_made_with_are_named(check, old):
    """By their content: a copy under another name is the same clip."""
    [same] = check(old, clips={"copy": OLD_CLIPS["monday"]}).notes
    [both] = check(old, clips={"copy": OLD_CLIPS["monday"], **NEW_CLIPS}).notes

    assert same == (
        "The calibration was made with clip copy: agreement there says nothing about later. Record a new one."
    )
    assert both == "The calibration was made with clip copy: agreement there says nothing about later."


def test_images_of_another_size_and_a_twins_calibration_are_refused(old):
    with pytest.raises(CalibrationError, match="clip friday: its images are 320x240, the calibration is for 640x360"):
        refuse_other_rigs(old, (320, 240), False, "clip friday")
    with pytest.raises(CalibrationError, match="the calibration is a real rig's and the clips are the twin's"):
        refuse_other_rigs(old, (640, 360), True, "clip friday")
    with pytest.raises(CalibrationError, match="the calibration is the twin's and the clips are a real rig's"):
        refuse_other_rigs(replace(old, synthetic=True), (640, 360), False, "clip friday")


def test_frames_that_cannot_be_fitted_are_refused_as_in_a_calibration(rig, old):
    empty = np.zeros_like(rig.masks[:40])
    with pytest.raises(CalibrationError, match="no person in any of 40 masks"):
        check_calibration(old, rig.heatmaps[:40], empty, rig.image_size)
