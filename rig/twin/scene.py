"""One scene behind both sensors: a room, who is in it, its picture, its true masks and its warmth.

Everything follows from the settings and the time: asked twice, a scene answers the same.
"""

import threading
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..records import RigError
from .body import vertex_normals
from .furniture import furnish
from .motion import SCRIPTS, Stage, State
from .occupant import SHIRTS, Occupant
from .render import Figure, Pinhole, develop, draw_figure
from .room import Room, Surfaces, light_on, see_room

GRID = 8  # thermal pixels along either side of the sensor
MARGIN = 2  # thermal pixels of the heat map beyond each edge of the grid: the footprints reach out
FINE = 8  # heat map cells along a thermal pixel
OVER = 3  # drawn triangles are this much finer than the heat map, then averaged
DARK_LEVEL = 0.08  # mean of a picture below which the camera opens up, linear
HEAT_CELLS = (GRID + 2 * MARGIN) * FINE


@dataclass(frozen=True)
class SceneSettings:
    """Everything a scene is made of.

    Attributes:
        room_seed: layout, colours and furniture of the room, its lamps, its temperature.
        occupant_seed: what the occupant does, and who it is unless `person_seed` says so.
        clothing: colour of the shirt, white red green blue black.
        lighting: bright (daylight and ceiling) or dim (lamps, a noisier picture).
        person_seed: body, skin, hair, trousers; -1 takes `occupant_seed` for that too.
        occupants: people in the room; they may leave it for a while.
        size: (width, height) of the camera's picture, px.
        focal_px: 0 for a horizontal field of view of 72 deg.
        camera_height_m: of the rig, over the floor.
        tilt_rad: how far the rig looks down.
        tx, ty, s: where the sensor's centre lies in the picture for things far away, and one thermal pixel, px.
        baseline_m: (right, up) from the camera to the sensor; with it tx, ty depend on the distance.
        script: what the occupants do: live, or wave an arm 1.4 m away (motion.SCRIPTS).
    """

    room_seed: int = 0
    occupant_seed: int = 0
    clothing: str = "white"
    lighting: str = "bright"
    person_seed: int = -1
    occupants: int = 1
    size: tuple[int, int] = (640, 360)
    focal_px: float = 0.0
    camera_height_m: float = 1.45
    tilt_rad: float = 0.02
    tx: float = 320.0
    ty: float = 180.0
    s: float = 62.0
    baseline_m: tuple[float, float] = (0.0, 0.02)
    script: str = "live"

    def __post_init__(self) -> None:
        if self.clothing not in SHIRTS or self.lighting not in ("bright", "dim") or self.occupants < 0:
            raise RigError(
                f"no such scene: clothing '{self.clothing}', lighting '{self.lighting}', {self.occupants} occupants; "
                f"clothing is one of {', '.join(SHIRTS)}, lighting bright or dim, occupants 0 or more"
            )
        if self.script not in SCRIPTS:
            raise RigError(f"no such script: '{self.script}'; it is one of {', '.join(SCRIPTS)}")

    @property
    def focal(self) -> float:
        """px."""
        return self.focal_px or self.size[0] / 2 / np.tan(np.radians(36.0))


@dataclass(frozen=True, eq=False)
class Look:
    """One picture and what is true of it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) bool, people.
        masks: (N, H, W) bool, each person in view by itself, nearest last; a mask covers what is seen of the person.
        distances_m: (N,) float, along the camera's axis, of each of those people.
    """

    image: np.ndarray
    mask: np.ndarray
    masks: np.ndarray
    distances_m: np.ndarray


class Scene:
    """A room and its people, seen by a camera and felt by a thermal sensor; both may ask at once, from two threads."""

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()  # scripts are written, and skins held, as they are asked for
        width, height = settings.size
        self.room: Room = furnish(settings.room_seed, settings.lighting)
        self.camera = Pinhole(
            0.0, settings.camera_height_m, settings.tilt_rad, settings.focal, (width / 2, height / 2), settings.size
        )
        # one thermal pixel is FINE cells of the heat map; its axes are the camera's, its place a baseline beside it
        fine = FINE * OVER / settings.s
        middle = HEAT_CELLS * OVER / 2
        self._sensor = Pinhole(
            settings.baseline_m[0],
            settings.camera_height_m + settings.baseline_m[1],
            settings.tilt_rad,
            settings.focal * fine,
            (middle + (width / 2 - settings.tx) * fine, middle + (height / 2 - settings.ty) * fine),
            (HEAT_CELLS * OVER, HEAT_CELLS * OVER),
        )
        half_view = width / 2 / settings.focal
        person = settings.occupant_seed if settings.person_seed < 0 else settings.person_seed
        self.occupants = [
            Occupant(
                person + 1009 * k,
                settings.occupant_seed + 1009 * k,
                settings.clothing,
                Stage(
                    near_m=1.0,
                    far_m=min(4.0, self.room.free_depth_m),
                    half_view=half_view,
                    half_width_m=self.room.half_width_m,
                    seat=self.room.seat if k == 0 else None,
                    side=0 if settings.occupants == 1 else (-1, 1)[k % 2],
                ),
                settings.script,
            )
            for k in range(settings.occupants)
        ]
        rng = np.random.default_rng([settings.occupant_seed, settings.room_seed, 11])
        self._wander = rng.uniform(0, 2 * np.pi, 4), 2 * np.pi / np.array([47.0, 113.0, 271.0, 610.0])
        self._held: tuple[float, list[np.ndarray]] = (-1.0, [])

    # -- the camera ------------------------------------------------------------------------------------------------

    def look(self, time_s: float) -> Look:
        """The camera's picture at a time, and where people are in it."""
        with self._lock:
            return self._look(time_s)

    def _look(self, time_s: float) -> Look:
        width, height = self.settings.size
        surfaces = self._background
        image = self._empty.copy()
        skins = self.skins(time_s)
        states = [occupant.script.at(time_s) for occupant in self.occupants]
        for state, skin in zip(states, skins, strict=True):
            self._cast_shadow(image, skin, state)
        seen: list[tuple[float, np.ndarray]] = []
        taken = np.zeros((height, width), bool)
        order = np.argsort([self.camera.project(skin.mean(0)[None])[1][0] for skin in skins])
        for k in order:  # nearest first: a nearer person hides a farther one
            figure = draw_figure(self.camera, skins[k], self.occupants[k].body.faces, margin=4)
            if figure is None:
                continue
            where = figure.window
            visible = figure.face >= 0
            visible &= figure.depth[figure.face] < surfaces.depth[where] + 0.10
            visible &= ~taken[where]
            if not visible.any():
                continue
            mask = np.zeros((height, width), bool)
            mask[where] = visible
            taken |= mask
            self._paint(image[where], self.occupants[k], skins[k], figure, visible)
            seen.append((float(np.median(figure.depth[figure.face[visible]])), mask))
        seen.reverse()
        self._add_noise(image, time_s)
        masks = np.array([mask for _, mask in seen]) if seen else np.zeros((0, height, width), bool)
        return Look(image, taken, masks, np.array([distance for distance, _ in seen]))

    @cached_property
    def _background(self) -> Surfaces:
        return see_room(self.room, self.camera)

    @cached_property
    def _empty(self) -> np.ndarray:
        """(H, W, 3) uint8: the room without people."""
        return cv2.GaussianBlur(develop(self._background.colour * self._gain), (3, 3), 0.7)

    @cached_property
    def _gain(self) -> float:
        """How far the camera opens up in a dark room: at most twofold, beside the room's own exposure."""
        return float(np.clip(DARK_LEVEL / self._background.colour.mean(), 1.0, 2.0))

    def skins(self, time_s: float) -> list[np.ndarray]:
        """Each occupant's skin and clothes: (V, 3) float64, m, in the room; in view or not."""
        if self._held[0] != time_s:  # both sensors often ask for the same instant
            self._held = (time_s, [occupant.stand(occupant.script.at(time_s)) for occupant in self.occupants])
        return self._held[1]

    def _paint(self, image: np.ndarray, who: Occupant, skin: np.ndarray, figure: Figure, visible: np.ndarray) -> None:
        """Draw a lit person over its window of the picture."""
        faces = who.body.faces
        normals = vertex_normals(skin, faces)[faces].mean(1)
        centres = skin[faces].mean(1)
        lit = (
            light_on(self.room, centres.astype(np.float32), normals.astype(np.float32))
            * who.folds
            * (self.room.exposure * self._gain)
        )
        index = figure.face
        weight = visible.astype(np.float32)
        # light changes smoothly over a body, paint does not: the one is blurred over the triangles, the other not
        sigma = max(0.6, 0.014 * self.settings.focal / max(np.median(figure.depth[index[visible]]), 0.5))
        light = lit[index] * weight[..., None]
        light = (
            cv2.GaussianBlur(light, (0, 0), sigma)
            / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
        )
        painted = develop(who.paint[index] * light)
        alpha = cv2.GaussianBlur(weight, (3, 3), 0.7)[..., None]
        painted = cv2.GaussianBlur(np.where(visible[..., None], painted, image), (3, 3), 0.7)
        image[:] = (alpha * painted + (1 - alpha) * image + 0.5).astype(np.uint8)

    def _cast_shadow(self, image: np.ndarray, skin: np.ndarray, state: State) -> None:
        """Darken the floor under and behind a person."""
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        low = skin[skin[:, 2] < 0.5]
        middle = low[:, :2].mean(0) if len(low) else np.array([state.x, state.y])
        ring = np.stack(
            [middle[0] + 0.42 * np.cos(angle), middle[1] + 0.1 + 0.34 * np.sin(angle), np.zeros_like(angle)], axis=1
        )
        points, depth = self.camera.project(ring)
        if depth.min() < 0.3:
            return
        height, width = image.shape[:2]
        pad = 24
        left, top = np.clip(np.floor(points.min(0)).astype(int) - pad, 0, [width, height])
        right, bottom = np.clip(np.ceil(points.max(0)).astype(int) + pad, 0, [width, height])
        if right <= left or bottom <= top:
            return
        shade = np.zeros((bottom - top, right - left), np.float32)
        cv2.fillPoly(shade, [np.rint((points - [left, top]) * 16).astype(np.int32)], 0.5, cv2.LINE_8, 4)
        shade = cv2.GaussianBlur(shade, (0, 0), 8.0)
        part = image[top:bottom, left:right]
        part[:] = (part * (1.0 - shade[..., None])).astype(np.uint8)

    @cached_property
    def _grain(self) -> np.ndarray:
        """A bank of the camera's noise, larger than the picture, cut at another place for each frame."""
        width, height = self.settings.size
        rng = np.random.default_rng([self.settings.room_seed, 23])
        sd = 1.6 if self.settings.lighting == "bright" else 4.0
        noise = rng.standard_normal((height + 64, width + 64, 3), np.float32) * sd
        return np.rint(cv2.GaussianBlur(noise, (3, 3), 0.6) * 1.4).astype(np.int16)

    def _add_noise(self, image: np.ndarray, time_s: float) -> None:
        rng = np.random.default_rng([self.settings.occupant_seed, int(time_s * 1e6) & 0x7FFFFFFF])
        dy, dx = rng.integers(0, 64, 2)
        height, width = image.shape[:2]
        noisy = cv2.add(image, self._grain[dy : dy + height, dx : dx + width], dtype=cv2.CV_8U)
        image[:] = noisy

    # -- the sensor ------------------------------------------------------------------------------------------------

    def heat(self, time_s: float) -> np.ndarray:
        """What the thermal sensor sees before its optics.

        Returns:
            (K, K) float32, degC; FINE cells a thermal pixel, MARGIN thermal pixels beyond each edge of its grid.
        """
        with self._lock:
            return self._heat(time_s)

    def _heat(self, time_s: float) -> np.ndarray:
        surfaces = self._warm_room
        fine = surfaces.celsius.copy()
        skins = self.skins(time_s)
        order = np.argsort([-self._sensor.project(skin.mean(0)[None])[1][0] for skin in skins])
        for k in order:  # farthest first: a nearer person covers it
            figure = draw_figure(self._sensor, skins[k], self.occupants[k].body.faces)
            if figure is None:
                continue
            where = figure.window
            visible = figure.face >= 0
            visible &= figure.depth[figure.face] < surfaces.depth[where] + 0.10
            warm = self.room.air_c + self.occupants[k].warmth[figure.face]
            fine[where][visible] = warm[visible]
        level = self.level_c(time_s)
        coarse = cv2.resize(fine, (HEAT_CELLS, HEAT_CELLS), interpolation=cv2.INTER_AREA)
        return coarse + np.float32(level)

    def level_c(self, time_s: float) -> float:
        """How far the room's level has wandered, degC; sd 0.4 over minutes."""
        phases, rates = self._wander
        return float(0.28 * np.sin(rates * time_s + phases).sum())

    @cached_property
    def _warm_room(self) -> Surfaces:
        return see_room(self.room, self._sensor)

    # -- the truth -------------------------------------------------------------------------------------------------

    def true_geometry(self, distance_m: float) -> tuple[float, float, float]:
        """(tx, ty, s), px: where heat at a distance along the camera's axis lies in the picture.

        A thing at (x, up) from the camera appears to the sensor at (x, up) less the baseline: it lies in the picture
        focal * baseline / distance further right, and less far down, than for things far away.
        """
        shift = self.settings.focal / distance_m
        right, up = self.settings.baseline_m
        return self.settings.tx + shift * right, self.settings.ty - shift * up, self.settings.s

    def distance_m(self, time_s: float) -> float | None:
        """How far the nearest person in the camera's view is, m along its axis; None when nobody is in it."""
        width, height = self.settings.size
        found = []
        with self._lock:
            skins = self.skins(time_s)
        for skin in skins:
            at, depth = self.camera.project(skin)
            inside = (depth > 0.15) & (at > 0).all(1) & (at < [width, height]).all(1)
            if inside.mean() > 0.05:
                found.append(float(np.median(depth[inside])))
        return min(found, default=None)
