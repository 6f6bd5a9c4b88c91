"""The rig file: which sensor, which camera, how they are mounted; and the open rig that comes of it."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import LrtError
from .records import Heatmap, Image, Jpeg
from .reopen import Reopening
from .timing.clock import Clock, SystemClock, VirtualClock
from .twin.faults import Faults

if TYPE_CHECKING:
    from .twin.rig import Twin

RIG_FILE = "rig.toml"
TWIN = "twin"


class SettingsError(LrtError, ValueError):
    """A rig file that is missing, or says something that cannot be."""


@dataclass(frozen=True)
class SensorSettings:
    """The `[sensor]` of a rig file. Rotation and mirror are kept beside a clip and applied on reading it."""

    kind: str = "amg8833"  # amg8833: on I2C; mcu: a board with our firmware; serial: one that prints CSV lines; twin
    bus: int = 1  # amg8833: /dev/i2c-1 is a Pi's header
    address: int = 0x69  # amg8833: 0x68 with AD_SELECT tied to ground
    rate: int = 10  # amg8833: 10 or 1 frames/s; a board has it in its firmware
    average: bool = False  # amg8833: the chip's moving average of two frames; better made later than recorded
    port: str = ""  # mcu, serial: best a name under /dev/serial/by-id, which stays when plugs are swapped
    baud: int = 115200  # serial: the authors' sketch; USB boards do not mind
    rotation: int = 0  # degrees clockwise that turn the sensor's picture upright: 0, 90, 180 or 270
    mirror: bool = False  # left and right exchanged, after the rotation


@dataclass(frozen=True)
class CameraSettings:
    """The `[camera]` of a rig file."""

    kind: str = "picamera2"  # picamera2: a Pi's ribbon camera; opencv: USB camera or video file; twin
    device: int | str = 0  # opencv: 0 is /dev/video0, or a path under /dev/v4l/by-id; picamera2: the camera's number
    file: str = ""  # opencv: a video file, from the rig file's folder, instead of a device
    size: tuple[int, int] = (640, 480)  # pixels, width and height; a video file keeps its own
    rate: float = 30.0  # frames/s: pairs are then at most 17 ms off; a video file keeps its own


@dataclass(frozen=True)
class RecordSettings:
    """The `[record]` of a rig file."""

    preroll_s: float = 3.0  # the rig daemon keeps so much, and a clip starts with it: before the button
    reserve_mb: int = 500  # a recording stops cleanly before the disk has less than this left, and none is begun
    split_mb: int = 1024  # a clip that reaches it goes on in another: 12 minutes of 640x480 at 30/s
    patience_s: float = 30.0  # a lost device is waited for so long; then the recording ends

    @property
    def reserve_bytes(self) -> int:
        """What the disk must have left."""
        return self.reserve_mb * 1_000_000

    @property
    def split_bytes(self) -> int:
        """How large a clip may grow."""
        return self.split_mb * 1_000_000


@dataclass(frozen=True)
class SyncSettings:
    """The `[sync]` of a rig file, as `lrt sync-check` writes it. image time + offset = heatmap time."""

    offset_ms: float = 0.0  # how much later heat shows what the picture shows
    spread_ms: float = 0.0  # one standard error of it
    correlation: float = 0.0  # of the two motions at that offset, 0 to 1; 0: never measured
    measured: str = ""  # the day, as 2026-01-31


@dataclass(frozen=True)
class RigSettings:
    """What a rig file says: hardware/rig.example.toml shows every key. Every key may be left out."""

    sensor: SensorSettings = field(default_factory=SensorSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    faults: Faults = field(default_factory=Faults)  # of the twin, to see how lrt bears them
    source: str = ""  # the file these came from, for messages; or "twin"

    def __post_init__(self) -> None:
        where = f"{self.source}: " if self.source else ""
        sensor, camera, record = self.sensor, self.camera, self.record
        for key, value, choice in (
            ("[sensor] kind", sensor.kind, ("amg8833", "mcu", "serial", TWIN)),
            ("[sensor] rate", sensor.rate, (10, 1)),
            ("[sensor] rotation", sensor.rotation, (0, 90, 180, 270)),
            ("[sensor] address", sensor.address, (0x68, 0x69)),
            ("[camera] kind", camera.kind, ("picamera2", "opencv", TWIN)),
        ):
            if value not in choice:
                raise SettingsError(f"{where}{key} is {value!r}; choose one of {', '.join(map(str, choice))}")
        if (sensor.kind == TWIN) != (camera.kind == TWIN):
            raise SettingsError(f'{where}the twin is sensor and camera in one; give kind = "twin" to both, or to none')
        if sensor.kind in ("mcu", "serial") and not sensor.port:
            raise SettingsError(f"{where}[sensor] port is missing; `ls /dev/serial/by-id` lists what is plugged in")
        if not 1200 <= sensor.baud <= 4_000_000:
            raise SettingsError(f"{where}[sensor] baud is {sensor.baud}; give the sketch's, like 115200")
        if camera.file and camera.kind != "opencv":
            raise SettingsError(f'{where}[camera] file is for kind = "opencv", and kind is {camera.kind!r}')
        if min(camera.size) < 16 or max(camera.size) > 8192:
            raise SettingsError(f"{where}[camera] size is {list(camera.size)}; give [width, height] in pixels")
        if not 1 <= camera.rate <= 240:
            raise SettingsError(f"{where}[camera] rate is {camera.rate}; give frames per second, 1 to 240")
        if isinstance(camera.device, str) and (camera.kind != "opencv" or not camera.device.startswith("/dev/")):
            raise SettingsError(
                f"{where}[camera] device is {camera.device!r}; give a number, or a /dev/ path for opencv"
            )
        for key, value, low, high in (
            ("preroll_s", record.preroll_s, 0, 60),
            ("reserve_mb", record.reserve_mb, 0, 10**7),
            ("split_mb", record.split_mb, 1, 10**7),
            ("patience_s", record.patience_s, 1, 3600),
        ):
            if not low <= value <= high:
                raise SettingsError(f"{where}[record] {key} is {value}; give {low} to {high}")
        if self.faults != Faults() and sensor.kind != TWIN:
            raise SettingsError(f'{where}[faults] are for kind = "twin": a real rig has faults of its own')

    @property
    def synthetic(self) -> bool:
        """Whether what it records is made up."""
        return self.sensor.kind == TWIN

    @property
    def file(self) -> Path | None:
        """The rig file, absolute; None if there is none."""
        return None if self.source in ("", TWIN) else Path(self.source).absolute()

    def as_dict(self) -> dict[str, Any]:
        """`sensor`, `camera` and `sync`, as clip.json keeps them: what a reader of the clip has to know."""
        return {"sensor": asdict(self.sensor), "camera": asdict(self.camera), "sync": asdict(self.sync)}


@dataclass(frozen=True)
class TwinScene:
    """What the twin is to show; for a real rig these are only the clip's tags."""

    clothing: str
    lighting: str
    occupants: int = 1
    seed_name: str = "lrt"  # the same name gives the same person, room and walk; a clip's id does well
    script: str = "live"  # what the occupant does: live, or wave for a sync-check


@dataclass(eq=False)
class Rig:
    """An open rig.

    Attributes:
        settings: replaced by those with another `sync` when that has been measured.
        twin: what stands behind sensor and camera; None for a real rig.
    """

    thermal: Reopening[Heatmap]
    camera: Reopening[Image | Jpeg]
    clock: Clock
    settings: RigSettings
    twin: "Twin | None" = None

    @property
    def synthetic(self) -> bool:
        """Whether what it records is made up."""
        return self.settings.synthetic

    @property
    def truth(self) -> dict[str, Any] | None:
        """The twin's pose, shift, scale and offset; None for a real rig."""
        return None if self.twin is None else self.twin.truth()

    def show(self, scene: TwinScene) -> None:
        """Have the twin show what a clip's tags say; a real rig sees what there is."""
        if self.twin is not None:
            self.twin.show(scene.clothing, scene.lighting, scene.occupants, scene.seed_name, scene.script)


@dataclass(eq=False)
class Thermal:
    """The open sensor of a rig, alone: there is no camera, not even a closed one.

    Attributes:
        sensor: opened again when it is lost.
        clock: by which it stamps.
        settings: the rig's.
    """

    sensor: Reopening[Heatmap]
    clock: Clock
    settings: RigSettings


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
def open_rig(
    settings: RigSettings, twin: TwinScene | None = None, live: bool = False, patient: bool = False
) -> Iterator[Rig]:
    """The rig, open and running; closed at the end of the `with` block. A device that is lost is opened again.

    Args:
        settings: from `load_rig`.
        twin: what the twin is to show; needed for the twin alone.
        live: the twin runs by the system's clock, like a real rig, instead of its own, which is as fast as we are.
        patient: devices need not be there yet.

    Raises:
        RigError: a device is missing or silent; one line that says which.
    """
    if settings.synthetic:
        if twin is None:
            raise SettingsError("the twin needs to be told what to show: clothing, lighting and occupants")
        made = _make_twin(settings, twin, SystemClock() if live else VirtualClock())
        clock: Clock = made.clock
        openers = _twin_openers(settings, made)
    else:
        made, clock = None, SystemClock()
        openers = (lambda: _open_sensor(settings.sensor, clock)), (lambda: _open_camera(settings, clock))
    with ExitStack() as open_devices:
        if made is not None:
            open_devices.callback(made.close)
        # a sensor knows its own silence, a board that is booting among them
        thermal = open_devices.enter_context(Reopening("sensor", openers[0], clock, silent_ns=None, patient=patient))
        camera = open_devices.enter_context(Reopening("camera", openers[1], clock, patient=patient))
        yield Rig(thermal, camera, clock, settings, made)


@contextmanager
def open_thermal(settings: RigSettings, twin: TwinScene | None = None, live: bool = True) -> Iterator[Thermal]:
    """The rig's sensor alone, open; closed at the end of the `with` block. No camera is opened, or even made.

    Args:
        settings, twin, live: as of `open_rig`.

    Raises:
        RigError: the sensor is missing or silent.
    """
    sensor = settings.sensor
    clock: Clock = SystemClock() if live or not settings.synthetic else VirtualClock()
    with ExitStack() as open_devices:
        if settings.synthetic:
            from .thermal.amg8833 import AMG8833
            from .twin.rig import open_twin_sensor

            if twin is None:
                raise SettingsError("the twin needs to be told what to show: clothing, lighting and occupants")
            bus = open_twin_sensor(**_twin_arguments(settings, twin), clock=clock)
            open_devices.callback(bus.deinit)

            def opener() -> Any:
                return AMG8833(clock, bus, address=sensor.address, rate=sensor.rate, average=sensor.average)
        else:

            def opener() -> Any:
                return _open_sensor(sensor, clock)

        thermal = open_devices.enter_context(Reopening("sensor", opener, clock, silent_ns=None))
        yield Thermal(thermal, clock, settings)


def _make_twin(settings: RigSettings, scene: TwinScene, clock: Clock) -> "Twin":
    from .twin.rig import open_twin

    return open_twin(**_twin_arguments(settings, scene), rate=settings.camera.rate, clock=clock)


def _twin_arguments(settings: RigSettings, scene: TwinScene) -> dict[str, Any]:
    """What the twin is told, whichever of its devices are wanted."""
    return {
        "clothing": scene.clothing,
        "lighting": scene.lighting,
        "occupants": scene.occupants,
        "name": scene.seed_name,
        "script": scene.script,
        "size": settings.camera.size,
        "address": settings.sensor.address,
        "faults": settings.faults,
    }


def _twin_openers(settings: RigSettings, twin: "Twin") -> tuple[Callable[[], Any], Callable[[], Any]]:
    from .thermal.amg8833 import AMG8833

    sensor = settings.sensor
    return (
        lambda: AMG8833(twin.clock, twin.i2c, address=sensor.address, rate=sensor.rate, average=sensor.average),
        twin.camera.reopen,
    )


def _open_sensor(settings: SensorSettings, clock: Clock) -> Any:
    if settings.kind == "mcu":
        from .thermal.mcu import MCUSensor

        return MCUSensor(settings.port, clock, settings.baud)
    if settings.kind == "serial":
        from .thermal.serial import SerialSensor

        return SerialSensor(settings.port, clock, settings.baud)
    from .thermal.amg8833 import AMG8833

    return AMG8833(clock, None, settings.bus, settings.address, settings.rate, settings.average)


def _open_camera(settings: RigSettings, clock: Clock) -> Any:
    camera = settings.camera
    if camera.kind == "picamera2":
        from .camera.picamera import PiCamera

        return PiCamera(clock, camera.size, camera.rate, int(camera.device))
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
    tables = {
        "sensor": SensorSettings,
        "camera": CameraSettings,
        "record": RecordSettings,
        "sync": SyncSettings,
        "faults": Faults,
    }
    for name in found:
        if name not in tables:
            raise SettingsError(f"{path}: '{name}' is not known; a rig file has {', '.join(f'[{n}]' for n in tables)}")
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
        values[key] = _value(where, key, value, defaults[key])
    return kind(**values)


def _value(where: str, key: str, value: Any, default: Any) -> Any:
    if default == ():  # of the twin's faults: when, and for how long
        try:
            return tuple((float(start), float(length)) for start, length in value)
        except (TypeError, ValueError):
            raise SettingsError(f"{where} is {value!r}; give [[start, length], ...] in seconds") from None
    if isinstance(default, tuple):
        if not (isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)):
            raise SettingsError(f"{where} is {value!r}; give two whole numbers, [{default[0]}, {default[1]}]")
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if key == "device" and isinstance(value, str):
        return value
    if type(value) is not type(default):
        raise SettingsError(f"{where} is {value!r}; give a {_KINDS[type(default)]}, like {default!r}")
    return value


_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text in quotes"}
