"""The fit on what the rig's twin reads: true masks, the sensor's own noise, optics and clock."""

import numpy as np
import pytest

from lrt.calibration.fit import Fit, fit_calibration
from lrt.calibration.lag import HeatmapSeries
from lrt.rig.records import QUARTER_C
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
