"""The fit on what the rig's twin reads: true masks, the sensor's own noise, optics and clock."""

import numpy as np
import pytest

from lrt.calibration.fitting import Fit, FitConfig, fit_calibration
from lrt.calibration.lag import HeatmapSeries
from lrt.rig.records import QUARTER_C
from lrt.rig.twin.motion import Stage
from lrt.rig.twin.occupant import Occupant
from lrt.rig.twin.rig import open_twin

CLIPS = (("white", "bright", "one"), ("red", "dim", "two"), ("black", "bright", "three"))
FRAMES = 120  # of the sensor, in each clip
EVERY = 4  # of them is paired with a picture
LATE_S = 0.0505  # a heatmap shows the mean of the 101 ms before its stamp


@pytest.fixture(scope="module")
def twin_fit() -> tuple[Fit, tuple[float, float, float]]:
    """A fit of three clips of one twin, and the truth at the mean distance of its people."""
    times, heat, clips, image_times, masks, inverse = [], [], [], [], [], []
    for number, (clothing, lighting, name) in enumerate(CLIPS):
        twin = open_twin(clothing, lighting, 1, name, rig_seed=3)
        for frame in range(5, FRAMES):
            times.append(twin.i2c.frame_ns(frame))
            heat.append(twin.i2c.measure(frame) * QUARTER_C)
            clips.append(number)
            if frame % EVERY == 0:
                at_s = (times[-1] - twin.opened_ns) * 1e-9
                image_times.append((len(times) - 1, times[-1]))
                masks.append(twin.scene.look(at_s).mask[::2, ::2])
                distance = twin.scene.distance_m(at_s)
                inverse += [1 / distance] if distance else []
    truth = twin.scene.true_geometry(1 / float(np.mean(inverse)))
    index, image_ns = np.array(image_times, np.int64).T
    celsius, clip = np.array(heat, np.float32), np.array(clips)
    series = HeatmapSeries(np.array(times, np.int64), celsius, clip)
    fit = fit_calibration(
        celsius[index], np.array(masks), (640, 360), clip=clip[index], image_times_ns=image_ns, series=series
    )
    return fit, truth


def test_the_twins_pose_is_found_within_a_tenth_of_a_thermal_pixel(twin_fit) -> None:
    fit, (tx, ty, s) = twin_fit
    c = fit.calibration
    assert np.hypot(c.tx - tx, c.ty - ty) <= 0.1 * s
    assert abs(c.s / s - 1) <= 0.03


def test_the_twins_time_offset_is_found(twin_fit) -> None:
    c = twin_fit[0].calibration
    assert abs(c.offset_ms - 1e3 * LATE_S) <= 15


def test_the_sensors_footprint_is_about_one_thermal_pixel(twin_fit) -> None:
    assert 0.85 <= twin_fit[0].fwhm <= 1.2


def test_faces_are_found_warmer_than_trousers(twin_fit) -> None:
    assert twin_fit[0].zone_c["face"] > twin_fit[0].zone_c["legs"] + 0.3


@pytest.mark.parametrize(("near_m", "far_m", "furthest"), [(0.9, 1.15, 0.07), (2.9, 3.4, 0.12)])
def test_one_zone_rule_serves_waist_up_people_and_whole_figures(near_m: float, far_m: float, furthest: float) -> None:
    """At 1 m the frame cuts people at the waist, at 3 m at the ankles; ty is what wrong zones would spoil."""
    twin = open_twin("white", "bright", 1, "distances", rig_seed=20)
    scene, settings = twin.scene, twin.scene.settings
    stage = Stage(near_m, far_m, settings.size[0] / 2 / settings.focal, scene.room.half_width_m, seat=None)
    scene.occupants = [Occupant(settings.person_seed, settings.occupant_seed, settings.clothing, stage)]
    heat, masks, inverse = [], [], []
    for frame in range(5, 600, 6):
        at_s = (twin.i2c.frame_ns(frame) - twin.opened_ns) * 1e-9 - LATE_S
        heat.append(twin.i2c.measure(frame) * QUARTER_C)
        masks.append(scene.look(at_s).mask[::2, ::2])
        distance = scene.distance_m(at_s)
        inverse += [1 / distance] if distance else []
    tx, ty, s = scene.true_geometry(1 / float(np.mean(inverse)))
    fit = fit_calibration(np.array(heat, np.float32), np.array(masks), (640, 360), FitConfig(lens=False))
    c = fit.calibration
    assert abs(c.ty - ty) <= furthest * s
    assert abs(c.tx - tx) <= 0.03 * s
    assert abs(c.s / s - 1) <= 0.015
    assert abs(c.ty - ty) <= abs(fit.one_zone.ty - ty) + 0.01 * s, "zones must not do worse than none"
    assert fit.zone_c["hair"] < fit.zone_c["face"]
