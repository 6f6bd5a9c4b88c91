"""The fit on bare arrays: any grid, a lens term, other objectives, and what is said of bad input."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import lrt.calibration
from lrt.calibration.check import check_calibration
from lrt.calibration.fitting import FitConfig, fit_calibration, fit_pose
from lrt.calibration.forward import Evidence, Pose, explain, guess_pose, see
from lrt.calibration.geometry import CalibrationError, equal_angles, read_calibration, write_calibration
from lrt.calibration.heldout import fit_halves, weigh_gain
from lrt.calibration.refine import refine_pose
from lrt.calibration.search import orient, orientations
from lrt.calibration.temperatures import solve_ordered
from lrt.calibration.verdict import Findings, _tell_mounting, judge
from lrt.calibration.zones import cut_zones
from lrt.rig.clip.read import orient as mount

IMAGE = (640, 360)
FAST = FitConfig(lens=False)


def make_heat(masks: np.ndarray, pose: Pose, grid: tuple[int, int], noise_c: float = 0.2, fwhm: float = 1.0):
    """(N, R, C) degC: what a sensor of any grid would read of people of all zones, by the model itself."""
    rng = np.random.default_rng(5)
    zones = cut_zones(masks, 160)
    cell_px = (IMAGE[0] / zones.shape[3], IMAGE[1] / zones.shape[2])
    seen, _ = see(zones, cell_px, pose, fwhm, grid)
    heat = np.einsum("nkij,k->nij", seen, [3.0, 6.0, 4.0, 4.2, 4.5, 4.5, 5.0, 3.0, 0.0]) + rng.normal(22, 0.4, grid)
    return (heat + rng.normal(0, noise_c, heat.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def rig(simulate):
    return simulate(700, frames=120)


# ------------------------------------------------------------------------------------------------------- library use


def test_the_fit_is_one_call_on_the_package_and_importing_it_is_light() -> None:
    code = (
        "import sys, lrt.calibration as c\n"
        "assert not {'scipy', 'cv2', 'torch'} & set(sys.modules)\n"
        "assert callable(c.fit)\n"
        "from lrt.calibration.fitting import Fit, fit_calibration\n"
        "assert c.fit is fit_calibration and c.Fit is Fit\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_choosing_frames_loads_no_scipy() -> None:
    code = "import sys, lrt.calibration.frames, lrt.calibration.lag\nassert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="unknown"):
        _ = lrt.calibration.unknown  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("grid", [(16, 12), (24, 32)])
def test_any_grid_is_fitted(rig, grid: tuple[int, int], tmp_path) -> None:
    pose = Pose(310.0, 190.0, 480 / max(grid))
    fit = lrt.calibration.fit(make_heat(rig.true_masks, pose, grid), rig.true_masks, IMAGE, FAST)
    c = fit.calibration
    assert c.grid == grid
    assert np.hypot(c.tx - pose.tx, c.ty - pose.ty) <= 0.05 * pose.s
    assert abs(c.s / pose.s - 1) <= 0.01
    assert set(fit.orientation_r2) == {(0, False), (2, False), (0, True), (2, True)}, "a turn by 90 has another shape"
    assert max(fit.orientation_r2, key=lambda way: fit.orientation_r2[way]) == (0, False)
    assert fit.coverage.shape == fit.residual_map.shape == grid
    write_calibration(c, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == c


def test_what_a_report_draws_is_there(rig) -> None:
    fit = fit_calibration(rig.heatmaps, rig.masks, IMAGE, FAST)
    c = fit.calibration
    assert 0.1 < np.nanmedian(fit.residual_map) < 1
    scales, r2 = fit.s_profile.T
    assert abs(scales[r2.argmax()] / c.s - 1) < 0.02
    assert 0.6 < fit.held_out_r2 <= c.score + 0.02
    assert fit.lens_r2 == (fit.held_out_r2, fit.held_out_r2), "none was tried"
    poses = np.array([(p.tx, p.ty, p.s) for p in (c, fit.one_zone, fit.interior)])
    np.testing.assert_allclose(fit.systematic, np.ptp(poses, axis=0) / 2)
    assert c.systematic == fit.systematic


def test_a_person_of_one_temperature_is_the_outermost_of_the_three_fits(rig) -> None:
    """The bias that the body zones cure shows in `systematic`, and does not widen the interval."""
    fit = fit_calibration(rig.heatmaps, rig.masks, IMAGE, FAST)
    assert fit.systematic[1] > fit.systematic[0]
    assert fit.calibration.ty_sd < 0.1 * fit.calibration.s


# --------------------------------------------------------------------------------------------------------- lens term


@pytest.mark.parametrize("lens_k", [0.0, 0.0057])
def test_pixels_of_one_size_and_of_equal_angles_are_told_apart(rig, lens_k: float) -> None:
    """7.5 degrees a pixel: k = tan's second term, 0.0057."""
    pose = Pose(315.0, 186.0, 62.0, lens_k)
    c = fit_calibration(make_heat(rig.true_masks, pose, (8, 8)), rig.true_masks, IMAGE).calibration
    assert c.lens_k == (equal_angles() if lens_k else 0)
    assert equal_angles() == pytest.approx(0.0057, abs=0.00005)
    assert abs(c.s / pose.s - 1) <= 0.01


def test_a_check_holds_the_lens_which_a_short_clip_could_not_tell(rig) -> None:
    pose = Pose(315.0, 186.0, 62.0, 0.0057)
    heat = make_heat(rig.true_masks, pose, (8, 8))
    old = fit_calibration(heat, rig.true_masks, IMAGE).calibration
    short = slice(None, None, 2)  # 60 frames, 30 s
    assert fit_calibration(heat[short], rig.true_masks[short], IMAGE).calibration.lens_k == 0, "else nothing is shown"
    found = check_calibration(old, heat[short], rig.true_masks[short], IMAGE)
    assert found.fit.calibration.lens_k == old.lens_k
    assert abs(found.moved["s"]) <= 0.005 * old.s


def test_a_lens_that_is_neither_gets_a_free_term(rig) -> None:
    """A camera's barrel distortion that draws the sensor's edge inwards by 5 %."""
    pose = Pose(315.0, 186.0, 62.0, -0.05 / 16)
    fit = fit_calibration(make_heat(rig.true_masks, pose, (8, 8)), rig.true_masks, IMAGE)
    assert fit.lens_r2[1] > fit.lens_r2[0]
    assert abs(fit.calibration.lens_k - pose.lens_k) <= 0.001
    assert abs(fit.calibration.s / pose.s - 1) <= 0.01


def test_a_term_that_helps_its_own_half_alone_is_no_gain(rig) -> None:
    heat = make_heat(rig.true_masks, Pose(315, 186, 62), (8, 8))
    zones = cut_zones(rig.true_masks, 80)
    evidence = Evidence(heat, zones, np.zeros(120, int), np.ones(120), (8.0, 8.0))
    pose, fwhm, _ = refine_pose(evidence, Pose(315, 186, 62), 1.0)
    blocks = np.arange(120) // 10
    counts = evidence.optics(pose, fwhm).counts
    plain = fit_halves(evidence, (pose, fwhm), blocks % 2 == 1, counts, lambda *_: (pose, fwhm))
    wrong = fit_halves(evidence, (pose, fwhm), blocks % 2 == 1, counts, lambda *_: (replace(pose, lens_k=0.01), fwhm))
    assert weigh_gain(plain.own, wrong.own, blocks) < 0
    assert plain.r2 > wrong.r2


# -------------------------------------------------------------------------------------------------- plain objectives


@pytest.mark.parametrize("objective", ["authors", "iou"])
def test_plainer_objectives_find_the_place_roughly_and_are_named(rig, objective: str) -> None:
    c = fit_calibration(rig.heatmaps, rig.masks, IMAGE, FAST, objective=objective).calibration
    assert c.objective == objective
    assert np.hypot(c.tx - rig.pose.tx, c.ty - rig.pose.ty) < 0.4 * rig.pose.s
    assert 0.3 < c.overlap < 1


def test_an_objective_that_nobody_knows_is_refused(rig) -> None:
    with pytest.raises(CalibrationError, match="'luck'; it is one of forward, authors, iou"):
        fit_calibration(rig.heatmaps, rig.masks, IMAGE, objective="luck")


# --------------------------------------------------------------------------------------------------------- bad input


def refuse(match: str, heatmaps: np.ndarray, masks: np.ndarray, image_size: tuple[int, int] = IMAGE) -> None:
    with pytest.raises(CalibrationError, match=match) as caught:
        fit_calibration(heatmaps, masks, image_size, FAST)
    assert "\n" not in str(caught.value)


def test_nineteen_usable_frames_are_too_few(rig) -> None:
    occupied = np.flatnonzero(rig.masks.mean(axis=(1, 2)) > 0.01)
    masks = rig.masks.copy()
    masks[occupied[19:]] = False
    refuse("someone is in view in 19 of 120 frames; calibration needs 20", rig.heatmaps, masks)
    refuse("19 frames; calibration needs 20", rig.heatmaps[:19], rig.masks[:19])


def test_heat_that_is_no_number_is_counted(rig) -> None:
    broken = rig.heatmaps.copy()
    broken[3:5, 0, 0] = np.nan
    refuse("2 of 120 heatmaps hold values that are not numbers", broken, rig.masks)


@pytest.mark.parametrize("value", [-512.0, 511.75, 80.0])
def test_a_saturated_pixel_is_named(rig, value: float) -> None:
    broken = rig.heatmaps.copy()
    broken[:, 2, 5] = value
    refuse(f"120 of 120 heatmaps are saturated .pixel row 2, column 5: {value:g} degC", broken, rig.masks)


def test_a_few_saturated_frames_are_left_out_and_said(rig) -> None:
    broken = rig.heatmaps.copy()
    broken[[7, 70], 4, 4] = 511.75
    fit = fit_calibration(broken, rig.masks, IMAGE, FAST)
    assert fit.weight[7] == fit.weight[70] == 0
    assert "2 of 120 heatmaps are saturated" in fit.notes[0]
    assert np.hypot(fit.calibration.tx - rig.pose.tx, fit.calibration.ty - rig.pose.ty) < 0.1 * rig.pose.s


def test_full_masks_are_named(rig) -> None:
    refuse("120 of 120 masks fill the whole picture", rig.heatmaps, np.ones_like(rig.masks))


def test_masks_of_another_shape_than_the_image_are_named(rig) -> None:
    refuse("masks are 160x90, images 640x480: not of one shape", rig.heatmaps, rig.masks, (640, 480))


def test_masks_of_grey_levels_are_named(rig) -> None:
    refuse("values from 0 to 255; need bool, or 0 to 1", rig.heatmaps, rig.masks.astype(np.uint8) * 255)


def test_one_position_only_is_named(rig) -> None:
    """Someone comes and goes, always to the same place."""
    here = int(rig.true_masks.sum(axis=(1, 2)).argmax())
    masks = np.zeros_like(rig.true_masks)
    masks[np.arange(120) % 3 > 0] = rig.true_masks[here]
    c = fit_calibration(make_heat(masks, Pose(315, 186, 62), (8, 8)), masks, IMAGE, FAST).calibration
    assert c.verdict == "WARN"
    assert c.advice.startswith("people stayed in one place")


def test_people_cut_by_the_lower_edge_are_told_of_and_pass(rig) -> None:
    masks = np.roll(rig.true_masks, 20, axis=1)
    masks[:, :20] = False
    fit = fit_calibration(make_heat(masks, Pose(315, 186, 62), (8, 8)), masks, IMAGE, FAST)
    assert "lower edge cuts people in" in fit.notes[0]
    assert "edge" not in fit.calibration.advice


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("written", [(0, False), (90, False), (270, True)])
def test_the_rig_files_values_are_named_that_mend_a_turned_sensor(rotation: int, mirror: bool, written) -> None:
    """Whatever the rig file says and whatever is right, the advice names what is right."""
    upright = np.arange(64).reshape(8, 8)
    raw = next(
        grid
        for way in orientations((8, 8))
        if np.array_equal(mount(grid := orient(upright, way), rotation, mirror), upright)
    )
    given = mount(raw, *written)  # what the fit is given
    mending = next(way for way in orientations((8, 8)) if np.array_equal(orient(given, way), upright))
    if mending != (0, False):
        told = _tell_mounting(mending, written)
        assert f"set rotation = {rotation} and mirror = {str(mirror).lower()} in rig.toml" in told


def test_without_the_rig_files_values_the_change_is_named() -> None:
    assert "in rig.toml add 270 to its rotation (where mirror is true already, add 90)" in _tell_mounting(
        (1, False), None
    )
    assert "change mirror to the other value" in _tell_mounting((0, True), None)


def test_a_guess_for_another_grid_covers_the_same_field() -> None:
    assert guess_pose(IMAGE, (24, 32)).s * 32 == pytest.approx(guess_pose(IMAGE).s * 8, rel=0.02)


def test_hair_is_never_warmer_than_a_face(rig) -> None:
    """Heat made with hot hair: the face is given what the pull leaves, and no less than the hair."""
    zones = cut_zones(rig.true_masks, 80)
    seen, _ = see(zones, (8.0, 8.0), Pose(315, 186, 62), 1.0)
    heat = (np.einsum("nkij,k->nij", seen, [9.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 0.0]) + 22).astype(np.float32)
    found = explain(Evidence(heat, zones, np.zeros(120, int), np.ones(120), (8.0, 8.0)), Pose(315, 186, 62), 1.0)
    assert found.zone_c[0] <= found.zone_c[1]


def test_evidence_that_no_pull_outweighs_gives_hair_and_face_one_temperature() -> None:
    much = 1e5
    zone_c = solve_ordered(much * np.eye(9), much * np.array([9.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 0.0]))
    assert zone_c[0] == zone_c[1]
    assert zone_c[0] == pytest.approx(6.5, rel=0.01)


@pytest.fixture(scope="module")
def other_fits(simulate_other):
    """Three rigs of the other simulator, which is not as the fit believes."""
    rigs = [simulate_other(seed, frames=200) for seed in (101, 104, 110)]
    return [(fit_calibration(rig.heatmaps, rig.masks, rig.image_size), rig) for rig in rigs]


def test_a_rig_unlike_the_fits_beliefs_is_found_within_a_tenth_of_a_pixel(other_fits) -> None:
    """Boxes of equal angles, parallax, other bodies, faulty masks; the lens term is what saves the scale."""
    for fit, rig in other_fits:
        c = fit.calibration
        assert np.hypot(c.tx - rig.pose.tx, c.ty - rig.pose.ty) <= 0.12 * rig.pose.s
        assert abs(c.s / rig.pose.s - 1) <= 0.06
    kept = [fit for fit, _ in other_fits if fit.calibration.lens_k]
    assert len(kept) >= 2


def test_its_intervals_hold_the_truth_there_too(other_fits) -> None:
    inside = [
        abs(getattr(fit.calibration, name) - getattr(rig.pose, name)) <= 2 * getattr(fit.calibration, f"{name}_sd")
        for fit, rig in other_fits
        for name in ("tx", "ty", "s")
    ]
    assert np.mean(inside) >= 0.85


def test_the_pose_alone_is_the_whole_fits(rig) -> None:
    pose = fit_pose(rig.heatmaps, rig.masks, IMAGE)
    c = fit_calibration(rig.heatmaps, rig.masks, IMAGE, FAST).calibration
    assert np.hypot(pose.tx - c.tx, pose.ty - c.ty) < 0.01 * c.s
    assert abs(pose.s / c.s - 1) < 0.005


def test_a_mirrored_sensor_is_told_from_an_upright_one_by_more_than_the_coarse_search(simulate_other) -> None:
    """On this rig the coarse search finds the picture upside down; refined with body zones it does not."""
    rig = simulate_other(129, frames=200)
    fit = fit_calibration(rig.heatmaps, rig.masks, rig.image_size, FAST)
    assert max(fit.search.best, key=lambda way: fit.search.best[way]) != (0, False)
    assert max(fit.orientation_r2, key=lambda way: fit.orientation_r2[way]) == (0, False)


GOOD = Findings(
    frames=180, coverage=np.ones((8, 8)), counts=np.ones((8, 8)), r2=0.85, held_out_r2=0.83, fwhm=1.0,
    sd_share=(0.02, 0.06), halves_apart=0.7, orientation_r2={(0, False): 0.8, (2, False): 0.1, (0, True): 0.5},
    on_border=False, missing_masks=0.05, moved=4.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"held_out_r2": 0.3}, "one half of the recording explains 30%"),
        ({"sd_share": (0.02, 0.2)}, "uncertain"),
        ({"halves_apart": 2.5}, "uncertain"),
        ({"fwhm": 2.2}, "2.20 pixels wide"),
        ({"orientation_r2": {(0, False): 0.8, (0, True): 0.78}}, "another way to mount"),
        ({"orientation_r2": {(0, False): 0.5, (2, False): 0.8}, "mounted": (90, False)}, "set rotation = 270"),
        ({"missing_masks": 0.5}, "masks miss the person"),
        ({"moved": 0.4}, "people stayed in one place"),
        ({"coverage": np.eye(8)[:2].sum(axis=0) * np.ones((8, 1))}, "people crossed 2 of 8 thermal columns"),
        ({"frames": 30}, "record until there are 60"),
        ({"on_border": True}, "edge of what was searched"),
        ({"r2": 0.1, "held_out_r2": 0.1}, "explain 10% of the heat"),
    ],
)
def test_each_fault_has_one_thing_to_do(fault: dict, said: str) -> None:
    assert judge(GOOD) == ("PASS", "")
    verdict, advice = judge(replace(GOOD, **fault))
    assert verdict == "WARN"
    assert said in advice
    assert "\n" not in advice
