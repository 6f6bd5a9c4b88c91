from types import SimpleNamespace

import numpy as np
import pytest

from lrt.rig.timing.clock import VirtualClock
from lrt.rig.twin.scene import HEAT_CELLS
from lrt.rig.twin.sensor import SensorSettings, TwinBus


class EvenScene:
    """A scene of one temperature everywhere, or one that jumps from frame to frame: what a bus test can reckon with."""

    def __init__(self, celsius=21.0, per_second=0.0):
        self.celsius, self.per_second = celsius, per_second
        self.room = SimpleNamespace(air_c=celsius)
        self.asked = 0

    def heat(self, time_s):
        self.asked += 1
        level = self.celsius + self.per_second * time_s
        return np.full((HEAT_CELLS, HEAT_CELLS), level, np.float32)


@pytest.fixture
def open_bus():
    """A bus before an even scene, and its clock; quiet and without a fixed pattern unless settings say otherwise."""

    def open_bus(celsius=21.0, per_second=0.0, faults=None, **settings):
        quiet = {"noise_c": (0.0, 0.0, 0.0), "common_c": 0.0, "pattern_c": 0.0, "drift_c": 0.0, **settings}
        clock, scene = VirtualClock(), EvenScene(celsius, per_second)
        return TwinBus(scene, clock, SensorSettings(**quiet), faults), clock, scene

    return open_bus
