"""A whole rig without hardware: one scene, a sensor on a bus and a camera before it, and the truth about them."""

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..timing.clock import SECOND_NS, Clock, SystemClock, VirtualClock
from .camera import CameraSettings, TwinCamera
from .faults import Faults
from .scene import Scene, SceneSettings
from .sensor import SensorSettings, TwinBus

MEAN_OVER_S = 120.0  # the mean distance of an occupant is taken over the first two minutes of its life
FIRST_ROOM, FIRST_PERSON = 1, 3  # of rig 0: light walls and dark hair, so that a first look shows what is what


@dataclass(eq=False)
class Twin:
    """An open twin.

    Attributes:
        clock: a virtual one, which stands still until a device or a task moves it on, or the system's.
        i2c: the bus with the sensor, as a `busio.I2C`.
        camera: frames by its own clock.
        scene: what both see; its time 0 is the clock's at opening.
        opened_ns: that time.
    """

    clock: Clock
    i2c: TwinBus
    camera: TwinCamera
    scene: Scene
    opened_ns: int

    def truth(self, seconds: float = MEAN_OVER_S) -> dict[str, Any]:
        """What a calibration should find, and all it takes to make the scene again; plain JSON values.

        Args:
            seconds: over so much of the scene the occupant's mean distance is taken.

        Returns:
            tx, ty, s (px) at `distance_m`, the mean distance of the people in view (inverse mean: shifts go with
            1 / distance; with nobody, 2 m); offset_ms: image time + offset = heatmap time; baseline_m; scene: the
            settings for `scene_of`; opened_ns.
        """
        distance = mean_distance(self.scene, seconds)
        tx, ty, s = self.scene.true_geometry(distance)
        # a heatmap shows the mean of the period before its stamp, a picture what was `stamp_lag_ns` before its own
        heat_lag_ms = self.i2c.settings.period_ns / 2e6
        image_lag_ms = self.camera.settings.stamp_lag_ns / 1e6
        settings = self.scene.settings
        return {
            "tx": float(tx),
            "ty": float(ty),
            "s": float(s),
            "distance_m": distance,
            "offset_ms": heat_lag_ms - image_lag_ms,
            "baseline_m": float(np.hypot(*settings.baseline_m)),
            "opened_ns": self.opened_ns,
            "scene": asdict(settings),
            "sensor": asdict(self.i2c.settings),
            "camera": asdict(self.camera.settings),
        }

    def show(self, clothing: str, lighting: str, occupants: int, name: str, script: str = "live") -> None:
        """Have the same person, in these clothes and this light, do other things in the same room, from now on.

        Args:
            clothing, lighting, occupants, name, script: as `open_twin` has them.

        Raises:
            RigError: a tag that no scene has.
        """
        settings = replace(
            self.scene.settings,
            clothing=clothing,
            lighting=lighting,
            occupants=occupants,
            occupant_seed=_seed(name),
            script=script,
        )
        self.scene = _draw_ahead(Scene(settings))
        self.i2c.show(self.scene)
        self.camera.show(self.scene)

    def close(self) -> None:
        """Close camera and bus."""
        self.camera.close()
        self.i2c.deinit()


def open_twin(
    clothing: str,
    lighting: str,
    occupants: int,
    name: str,
    size: tuple[int, int] = (640, 360),
    rate: float = 15.0,
    rig_seed: int = 0,
    faults: Faults | None = None,
    address: int = 0x69,
    script: str = "live",
    clock: Clock | None = None,
) -> Twin:
    """A twin, open.

    Args:
        clothing, lighting, occupants: what the scene shows; the tags of a clip.
        name: the clip's id; the same name gives the same things done.
        size: (width, height) of the camera's picture, px.
        rate: of the camera, frames/s.
        rig_seed: the room, who is in it, and how the rig is put together: equal in all clips of one rig.
        faults: what goes wrong, and when.
        address: of the sensor on its bus.
        script: what the occupant does, see `SceneSettings`.
        clock: by which it lives; None: a virtual one of its own.

    Raises:
        RigError: a tag that no scene has.
    """
    clock = clock or VirtualClock()
    scene, drift_ppm = _make_scene(clothing, lighting, occupants, name, size, rig_seed, script, clock)
    faults = faults or Faults()
    seed = _seed(name) ^ rig_seed
    sensor = SensorSettings(seed=seed, address=address, drift_ppm=drift_ppm[0])
    camera = CameraSettings(seed=seed, rate=rate, drift_ppm=drift_ppm[1])
    return Twin(
        clock,
        TwinBus(scene, clock, sensor, faults),
        TwinCamera(scene, clock, camera, faults),
        scene,
        clock.now_ns(),
    )


def open_twin_sensor(
    clothing: str,
    lighting: str,
    occupants: int,
    name: str,
    size: tuple[int, int] = (640, 360),
    rig_seed: int = 0,
    faults: Faults | None = None,
    address: int = 0x69,
    script: str = "live",
    clock: Clock | None = None,
) -> TwinBus:
    """The bus of a twin that has no camera: the same heat as the whole twin's, arguments as of `open_twin`."""
    clock = clock or VirtualClock()
    scene, drift_ppm = _make_scene(clothing, lighting, occupants, name, size, rig_seed, script, clock)
    sensor = SensorSettings(seed=_seed(name) ^ rig_seed, address=address, drift_ppm=drift_ppm[0])
    return TwinBus(scene, clock, sensor, faults or Faults())


def _make_scene(
    clothing: str,
    lighting: str,
    occupants: int,
    name: str,
    size: tuple[int, int],
    rig_seed: int,
    script: str,
    clock: Clock,
) -> tuple[Scene, tuple[float, float]]:
    """The scene, and how far sensor and camera run from true time, ppm: drawn in turn from the rig's seed."""
    rng = np.random.default_rng([rig_seed, 61])
    scale = size[0] / 640  # the geometry is drawn for pictures 640 px wide
    scene = Scene(
        SceneSettings(
            room_seed=FIRST_ROOM + rig_seed,
            occupant_seed=_seed(name),
            person_seed=FIRST_PERSON + rig_seed,  # one person in all clips of a rig, as in the published recordings
            clothing=clothing,
            lighting=lighting,
            occupants=occupants,
            size=size,
            camera_height_m=float(rng.uniform(1.4, 1.5)),
            tilt_rad=float(rng.uniform(0.0, 0.04)),
            tx=float(size[0] / 2 + scale * rng.uniform(-24, 24)),
            ty=float(size[1] / 2 + scale * rng.uniform(-16, 16)),
            s=float(scale * rng.uniform(60.5, 64.0)),
            baseline_m=(0.0, float(rng.uniform(0.018, 0.022))),
            script=script,
        )
    )
    if isinstance(clock, SystemClock):
        _draw_ahead(scene)
    return scene, (float(rng.normal(0, 80)), float(rng.normal(0, 30)))


def _draw_ahead(scene: Scene) -> Scene:
    """The scene, with what it draws once and keeps: by the system's clock that second would cost frames."""
    scene.look(0.0)
    scene.heat(0.0)
    return scene


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def scene_of(truth: dict[str, Any]) -> Scene:
    """The scene behind a recorded clip, from the truth that was kept with it.

    A picture's instant in the scene is (its time stamp - opened_ns) / 1e9 - stamp_lag: see `scene_time_s`.
    """
    fields = truth["scene"]
    return Scene(SceneSettings(**{**fields, "size": tuple(fields["size"]), "baseline_m": tuple(fields["baseline_m"])}))


def scene_time_s(truth: dict[str, Any], image_timestamp_ns: int) -> float:
    """When in the scene a picture was taken, s; within the camera's jitter of 0.3 ms."""
    return max(0.0, (image_timestamp_ns - truth["opened_ns"] - truth["camera"]["stamp_lag_ns"]) / SECOND_NS)


def mean_distance(scene: Scene, seconds: float) -> float:
    """The inverse mean distance of the people in view, m; 2 m when nobody ever is."""
    seen = [scene.distance_m(t) for t in np.arange(0.5, seconds, 1.0)]
    inverse = [1 / distance for distance in seen if distance]
    return float(1 / np.mean(inverse)) if inverse else 2.0
