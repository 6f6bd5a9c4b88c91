"""The rig file: which sensor, which camera, how they are mounted; and the open rig that comes of it."""

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import LrtError
from .sources import Camera, Sensor
from .timing.clock import Clock, SystemClock

RIG_FILE = "rig.toml"
TWIN = "twin"


class SettingsError(LrtError, ValueError):
    """A rig file that is missing, or says something that cannot be."""


@dataclass(frozen=True)
class SensorSettings:
    """The `[sensor]` of a rig file. Rotation and mirror are kept beside a clip and applied on reading it."""

    kind: str = "amg8833"  # amg8833: on I2C; serial: a microcontroller that prints CSV lines; twin
    bus: int = 1  # amg8833: /dev/i2c-1 is a Pi's header
    address: int = 0x69  # amg8833: 0x68 with AD_SELECT tied to ground
    port: str = ""  # serial: best a name under /dev/serial/by-id, which stays when plugs are swapped
    baud: int = 115200  # serial: the authors' sketch
    rotation: int = 0  # degrees clockwise that turn the sensor's picture upright: 0, 90, 180 or 270
    mirror: bool = False  # left and right exchanged, after the rotation


@dataclass(frozen=True)
class CameraSettings:
    """The `[camera]` of a rig file."""

    kind: str = "picamera2"  # picamera2: a Pi's ribbon camera; opencv: USB camera or video file; twin
    device: int = 0  # opencv: 0 is /dev/video0; picamera2: the camera's number
    file: str = ""  # opencv: a video file, from the rig file's folder, instead of a device
    size: tuple[int, int] = (640, 480)  # pixels, width and height; a video file keeps its own
    rate: float = 30.0  # frames/s: pairs are then at most 17 ms off; a video file keeps its own


@dataclass(frozen=True)
class RigSettings:
    """What a rig file says.

        [sensor]
        kind = "amg8833"       # amg8833 | serial | twin
        bus = 1                # amg8833: I2C bus
        address = 0x69         # amg8833: 0x69 or 0x68
        port = "/dev/ttyACM0"  # serial
        baud = 115200          # serial
        rotation = 0           # 0 | 90 | 180 | 270, degrees clockwise
        mirror = false

        [camera]
        kind = "picamera2"     # picamera2 | opencv | twin
        device = 0             # opencv: /dev/video0; picamera2: camera number
        file = "walk.mp4"      # opencv: a video file instead of a device
        size = [640, 480]
        rate = 30

    Every key may be left out.
    """

    sensor: SensorSettings = field(default_factory=SensorSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    source: str = ""  # the file these came from, for messages; or "twin"

    def __post_init__(self) -> None:
        where = f"{self.source}: " if self.source else ""
        sensor, camera = self.sensor, self.camera
        for key, value, choice in (
            ("[sensor] kind", sensor.kind, ("amg8833", "serial", TWIN)),
            ("[sensor] rotation", sensor.rotation, (0, 90, 180, 270)),
            ("[sensor] address", sensor.address, (0x68, 0x69)),
            ("[camera] kind", camera.kind, ("picamera2", "opencv", TWIN)),
        ):
            if value not in choice:
                raise SettingsError(f"{where}{key} is {value!r}; choose one of {', '.join(map(str, choice))}")
        if (sensor.kind == TWIN) != (camera.kind == TWIN):
            raise SettingsError(f'{where}the twin is sensor and camera in one; give kind = "twin" to both, or to none')
        if sensor.kind == "serial" and not sensor.port:
            raise SettingsError(f"{where}[sensor] port is missing; `ls /dev/serial/by-id` lists what is plugged in")
        if not 1200 <= sensor.baud <= 4_000_000:
            raise SettingsError(f"{where}[sensor] baud is {sensor.baud}; give the sketch's, like 115200")
        if camera.file and camera.kind != "opencv":
            raise SettingsError(f'{where}[camera] file is for kind = "opencv", and kind is {camera.kind!r}')
        if min(camera.size) < 16 or max(camera.size) > 8192:
            raise SettingsError(f"{where}[camera] size is {list(camera.size)}; give [width, height] in pixels")
        if not 1 <= camera.rate <= 240:
            raise SettingsError(f"{where}[camera] rate is {camera.rate}; give frames per second, 1 to 240")

    @property
    def synthetic(self) -> bool:
        """Whether what it records is made up."""
        return self.sensor.kind == TWIN

    def as_dict(self) -> dict[str, Any]:
        """`sensor` and `camera`, as clip.json keeps them."""
        return {"sensor": asdict(self.sensor), "camera": asdict(self.camera)}


@dataclass(frozen=True)
class TwinScene:
    """What the twin is to show; for a real rig these are only the clip's tags."""

    clothing: str
    lighting: str
    occupants: int = 1
    seed_name: str = "lrt"  # the same name gives the same person, room and walk; a clip's id does well


@dataclass(frozen=True)
class Rig:
    """An open rig.

    Attributes:
        synthetic: it is the twin.
        truth: the twin's pose, shift, scale and offset; None for a real rig.
    """

    thermal: Sensor
    camera: Camera
    clock: Clock
    settings: RigSettings
    synthetic: bool = False
    truth: dict[str, Any] | None = None


def load_rig(choice: str | None, search: Sequence[Path] = ()) -> RigSettings:
    """The settings of the rig that was asked for.

    Args:
        choice: "twin", or a rig file's path; None: the first `rig.toml` in `search`.
        search: folders, the nearest first.

    Raises:
        SettingsError: no such file, or something wrong in it: one line that names the file and the key.
    """
    if choice == TWIN:
        return RigSettings(
            SensorSettings(kind=TWIN), CameraSettings(kind=TWIN, size=(640, 360), rate=15.0), source=TWIN
        )
    if choice is not None:
        return _read(Path(choice))
    for folder in search:
        if (folder / RIG_FILE).is_file():
            return _read(folder / RIG_FILE)
    places = " or ".join(str(folder) for folder in search)
    raise SettingsError(f"no {RIG_FILE} in {places or 'any folder'}; write one, or use the digital twin: --rig twin")


@contextmanager
def open_rig(settings: RigSettings, twin: TwinScene | None = None) -> Iterator[Rig]:
    """The rig, open and running; closed at the end of the `with` block.

    Args:
        settings: from `load_rig`.
        twin: what the twin is to show; needed for the twin alone.

    Raises:
        RigError: a device is missing or silent; one line that says which.
    """
    with ExitStack() as open_devices:
        if settings.synthetic:
            if twin is None:
                raise SettingsError("the twin needs to be told what to show: clothing, lighting and occupants")
            yield _open_twin(settings, twin, open_devices)
            return
        clock = SystemClock()
        thermal = open_devices.enter_context(_open_sensor(settings.sensor, clock))
        camera = open_devices.enter_context(_open_camera(settings, clock))
        yield Rig(thermal, camera, clock, settings)


def _open_twin(settings: RigSettings, scene: TwinScene, open_devices: ExitStack) -> Rig:
    from .thermal.amg8833 import AMG8833
    from .twin.rig import open_twin

    twin = open_twin(
        clothing=scene.clothing,
        lighting=scene.lighting,
        occupants=scene.occupants,
        name=scene.seed_name,
        size=settings.camera.size,
        rate=settings.camera.rate,
        address=settings.sensor.address,
    )
    open_devices.callback(twin.close)
    thermal = open_devices.enter_context(AMG8833(clock=twin.clock, i2c=twin.i2c, address=settings.sensor.address))
    return Rig(thermal, twin.camera, twin.clock, settings, synthetic=True, truth=twin.truth())


def _open_sensor(settings: SensorSettings, clock: Clock) -> Any:
    if settings.kind == "serial":
        from .thermal.serial import SerialSensor

        return SerialSensor(settings.port, clock, settings.baud)
    from .thermal.amg8833 import AMG8833

    return AMG8833(clock, bus=settings.bus, address=settings.address)


def _open_camera(settings: RigSettings, clock: Clock) -> Any:
    camera = settings.camera
    if camera.kind == "picamera2":
        from .camera.picamera import PiCamera

        return PiCamera(clock, camera.size, camera.rate, camera.device)
    from .camera.opencv import OpenCVCamera

    source = str(Path(settings.source).parent / camera.file) if camera.file else camera.device
    return OpenCVCamera(source, clock, camera.size, camera.rate)


def _read(path: Path) -> RigSettings:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"rig file {path} cannot be read ({error.strerror}); or use --rig twin") from error
    except ValueError as error:  # TOMLDecodeError, or bytes that are not UTF-8
        raise SettingsError(f"rig file {path} is not TOML: {error}") from error
    tables = {"sensor": SensorSettings, "camera": CameraSettings}
    for name in found:
        if name not in tables:
            raise SettingsError(f"{path}: '{name}' is not known; a rig file has [sensor] and [camera]")
    parts = {name: _table(path, name, found.get(name, {}), kind) for name, kind in tables.items()}
    return RigSettings(**parts, source=str(path))


def _table(path: Path, name: str, found: Any, kind: type) -> Any:
    """The dataclass made of a TOML table, each key known and of the type its default has."""
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: '{name}' must be a table, [{name}]")
    defaults = {each.name: each.default for each in fields(kind)}
    values = {}
    for key, value in found.items():
        where = f"{path}: [{name}] {key}"
        if key not in defaults:
            raise SettingsError(f"{where} is not known; choose among {', '.join(defaults)}")
        default = defaults[key]
        if isinstance(default, tuple):
            if not (isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)):
                raise SettingsError(f"{where} is {value!r}; give two whole numbers, [{default[0]}, {default[1]}]")
            value = tuple(value)
        elif isinstance(default, float) and type(value) is int:
            value = float(value)
        elif type(value) is not type(default):
            raise SettingsError(f"{where} is {value!r}; give a {_KINDS[type(default)]}, like {default!r}")
        values[key] = value
    return kind(**values)


_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text in quotes"}
