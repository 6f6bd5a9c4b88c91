"""The refinement follows the model's own slopes, stays within its range, and lets a zone's temperature wander."""

from dataclasses import replace

import numpy as np
import pytest

from lrt.calibration.forward import Evidence, Pose, explain, foretell
from lrt.calibration.refine import FURTHEST, FWHM_LIMITS, refine_pose
from lrt.calibration.slopes import SLOPES, find_slopes
from lrt.calibration.temperatures import HAIR_SHARE
from lrt.calibration.zones import WANDER_C, ZONES, cut_zones

POSE, FWHM = Pose(312.0, 188.0, 62.0, 0.004), 0.95
WARM_C = np.array([3.0, 6.5, 4.0, 4.2, 4.5, 5.0, 6.0, 3.0, 0.5])


@pytest.fixture(scope="module")
def zones(simulate) -> np.ndarray:
    return cut_zones(simulate(700, frames=120).true_masks, 80)


def make_evidence(zones: np.ndarray, frame_c: np.ndarray, wander_c: tuple[float, ...] = ()) -> Evidence:
    """Heat as the model has it, each frame with temperatures (N, K) of its own, and a little noise."""
    count = len(zones)
    blank = Evidence(np.zeros((count, 8, 8), np.float32), zones, np.zeros(count, int), np.ones(count), (8.0, 8.0))
    seen = blank.see(blank.optics(POSE, FWHM))
    noise = np.random.default_rng(4).normal(22, 0.1, (count, 8, 8))
    heat = (np.einsum("nkij,nk->nij", seen, frame_c) + noise).astype(np.float32)
    return replace(blank, heat=heat, wander_c=wander_c)


@pytest.mark.parametrize("number", range(len(SLOPES)))
def test_slopes_are_those_of_the_model(zones, number: int) -> None:
    """Against differences of the model itself, in the units that `SLOPES` names."""
    evidence = make_evidence(zones, np.broadcast_to(WARM_C, (len(zones), len(ZONES))))
    ends = []
    for step in (-1e-3, 1e-3):
        moves = np.zeros(5)
        moves[number] = step
        moved = Pose(
            POSE.tx + POSE.s * moves[0], POSE.ty + POSE.s * moves[1], POSE.s * np.exp(moves[2]),
            POSE.lens_k + moves[4] / 16,
        )  # fmt: skip
        seen = evidence.see(evidence.optics(moved, FWHM * np.exp(moves[3]))).astype(np.float64)
        ends.append(np.einsum("nkij,k->nij", seen, WARM_C))
    expected = (ends[1] - ends[0]) / 2e-3
    found = find_slopes(evidence, POSE, FWHM, np.broadcast_to(WARM_C, (len(zones), len(ZONES))))[:, number]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_a_pose_half_a_pixel_away_is_found_again(zones) -> None:
    evidence = make_evidence(zones, np.broadcast_to(WARM_C, (len(zones), len(ZONES))))
    pose, fwhm, r2 = refine_pose(evidence, Pose(340.0, 160.0, 66.0), 1.3, bend_range=(-0.05, 0.14))
    assert np.hypot(pose.tx - POSE.tx, pose.ty - POSE.ty) <= 0.01 * POSE.s
    assert abs(pose.s / POSE.s - 1) <= 0.005
    assert abs(pose.lens_k - POSE.lens_k) <= 0.0005
    assert abs(fwhm - FWHM) <= 0.02
    assert r2 > 0.95


def test_a_lens_term_stops_at_the_end_of_its_range(zones) -> None:
    evidence = make_evidence(zones, np.broadcast_to(WARM_C, (len(zones), len(ZONES))))
    pose, _, _ = refine_pose(evidence, replace(POSE, lens_k=0.0), FWHM, bend_range=(-0.05, 0.02))
    assert pose.lens_k == pytest.approx(0.02 / 16)


def test_noise_alone_leads_nowhere_far(zones) -> None:
    evidence = make_evidence(zones, np.zeros((len(zones), len(ZONES))))
    pose, fwhm, r2 = refine_pose(evidence, POSE, FWHM)
    assert max(abs(pose.tx - POSE.tx), abs(pose.ty - POSE.ty)) <= 2 * FURTHEST[0] * POSE.s * np.exp(FURTHEST[2])
    assert FWHM_LIMITS[0] <= fwhm <= FWHM_LIMITS[1]
    assert r2 < 0.1


def test_temperatures_that_wander_are_followed_and_move_the_pose_less(zones) -> None:
    """Faces that turn away for half a minute: the frames' own temperatures take it up, the pose keeps still."""
    away = np.arange(len(zones)) % 40 < 20
    frame_c = np.where((np.arange(len(ZONES)) == 1) & away[:, None], 1.5, WARM_C)
    start = Pose(316.0, 184.0, 62.0, POSE.lens_k)
    poses = []
    for wander_c in ((), WANDER_C):
        evidence = make_evidence(zones, frame_c, wander_c)
        poses.append(refine_pose(evidence, start, FWHM)[0])
    rigid, following = (abs(pose.ty - POSE.ty) + abs(pose.s - POSE.s) for pose in poses)
    assert following < 0.5 * rigid
    found = explain(evidence, POSE, FWHM)
    assert found.merit > found.r2
    filled = zones[:, 1].sum(axis=(1, 2)) > 10
    assert found.frame_c[away & filled, 1].mean() < found.frame_c[~away & filled, 1].mean() - 2


def test_frames_kept_out_win_back_what_wanders_and_no_more(zones) -> None:
    frame_c = WARM_C + np.random.default_rng(2).normal(0, 0.5, (len(zones), len(ZONES)))
    rigid, following = (
        foretell(make_evidence(zones, frame_c, wander_c), POSE, FWHM, WARM_C, np.ones((8, 8)))
        for wander_c in ((), WANDER_C)
    )
    np.testing.assert_allclose(rigid[2], rigid[0])
    np.testing.assert_allclose(following[0], rigid[0])
    noise = 0.1**2 * 64 * len(zones)
    assert following[2].sum() - noise < 0.3 * (following[0].sum() - noise)
    assert (following[2] > 0).all()


def test_hair_that_nobody_sees_is_taken_for_half_as_warm_as_the_face(zones) -> None:
    bare = zones.copy()
    bare[:, 0] = 0
    found = explain(make_evidence(bare, np.broadcast_to(WARM_C, (len(zones), len(ZONES)))), POSE, FWHM)
    assert found.zone_c[0] == pytest.approx(HAIR_SHARE * found.zone_c[1], rel=0.1)
