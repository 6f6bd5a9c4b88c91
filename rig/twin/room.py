"""A room that looks like one: walls, floor, window, furniture, and light on them.

Everything is a box or a rectangle on a wall, so that one ray a pixel gives colour, depth and warmth.
"""

from dataclasses import dataclass

import numpy as np

from .render import Pinhole

Colour = tuple[float, float, float]  # linear RGB


@dataclass(frozen=True)
class Block:
    """A piece of furniture, or a flat thing on a wall: an axis-aligned box.

    Attributes:
        low, high: opposite corners, m.
        colour: linear RGB reflectance, 0..1.
        warmer_c: its surface over the air, degC.
        glow: share of its colour that shines by itself (window, lamp, screen).
        stripes: m between lines drawn across it (books, curtains, radiator fins); 0 for none.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: Colour
    warmer_c: float = 0.0
    glow: float = 0.0
    stripes: float = 0.0


@dataclass(frozen=True)
class Lamp:
    """A light: where, how strong and of what colour, linear RGB."""

    at: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Room:
    """One room under one light.

    Attributes:
        half_width_m, depth_m, height_m: walls at x = -+half_width, y = depth, ceiling at height.
        walls, floor, ceiling: linear RGB.
        planks_m: width of the floor's boards; 0 for a carpet.
        blocks: furniture.
        seat: (x, y, heading) where one can sit, or None.
        free_depth_m: how far from the camera one can stand.
        air_c: degC at 1 m height.
        rise_c: how much warmer it is a metre higher.
        lamps: point lights.
        ambient: linear RGB of the light from everywhere.
        exposure: linear gain of the camera.
    """

    half_width_m: float
    depth_m: float
    height_m: float
    walls: Colour
    floor: Colour
    ceiling: Colour
    planks_m: float
    blocks: tuple[Block, ...]
    seat: tuple[float, float, float] | None
    free_depth_m: float
    air_c: float
    rise_c: float
    lamps: tuple[Lamp, ...] = ()
    ambient: Colour = (0.0, 0.0, 0.0)
    exposure: float = 1.0


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What each pixel's ray meets.

    Attributes:
        depth: (H, W) float32, m along the axis.
        colour: (H, W, 3) float32, linear RGB as lit and exposed, 1 = white of the picture.
        celsius: (H, W) float32, degC, with the room's level at rest.
    """

    depth: np.ndarray
    colour: np.ndarray
    celsius: np.ndarray


def light_on(room: Room, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Linear RGB of the light that falls on (..., 3) points of (..., 3) normals, m; before the camera's exposure."""
    up = 0.82 + 0.18 * normals[..., 2:3]
    lit = np.asarray(room.ambient, np.float32) * up
    for lamp in room.lamps:
        towards = np.asarray(lamp.at, np.float32) - points
        square = np.einsum("...i,...i->...", towards, towards)
        cosine = np.einsum("...i,...i->...", towards, normals) / np.sqrt(square)
        wrapped = np.maximum(cosine + 0.25, 0.0) / 1.25  # light comes round the edge: a lamp is not a point
        lit = lit + (wrapped / (square + 0.6))[..., None] * np.asarray(lamp.colour, np.float32)
    return lit


def see_room(room: Room, camera: Pinhole) -> Surfaces:
    """Colour, depth and warmth of the empty room through a pinhole."""
    met = _meet_walls(room, camera)
    for block in room.blocks:
        _meet_block(block, camera, met)
    lit = light_on(room, met.points, met.normals) * met.shade[..., None]
    glow = met.glow[..., None]
    linear = met.colour * (lit * (1 - glow) + glow) * room.exposure
    celsius = room.air_c + room.rise_c * (met.points[..., 2] - 1.0) + met.warmer_c
    return Surfaces(met.distance.astype(np.float32), linear.astype(np.float32), celsius.astype(np.float32))


@dataclass(frozen=True, eq=False)
class _Met:
    """What the rays have met so far, (H, W) or (H, W, 3) float32 each; nearer things are written over it."""

    eye: np.ndarray  # (3,)
    rays: np.ndarray
    inverse: np.ndarray  # 1 / rays
    distance: np.ndarray  # in lengths of a ray: m along the axis
    points: np.ndarray
    normals: np.ndarray
    colour: np.ndarray  # before light falls on it
    shade: np.ndarray  # share of the light that corners and contact leave
    warmer_c: np.ndarray
    glow: np.ndarray


def _meet_walls(room: Room, camera: Pinhole) -> _Met:
    """Walls, floor and ceiling alone."""
    rays = camera.rays()
    eye = np.array([camera.x, 0.0, camera.z], np.float32)
    half, deep, tall = room.half_width_m, room.depth_m, room.height_m
    inverse = 1.0 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    sides = (
        np.where(rays[..., 0] > 0, np.float32(half - eye[0]), np.float32(-half - eye[0])) * inverse[..., 0],
        np.where(rays[..., 1] > 0, np.float32(deep), np.float32(-1.0)) * inverse[..., 1],
        np.where(rays[..., 2] > 0, np.float32(tall - eye[2]), np.float32(-eye[2])) * inverse[..., 2],
    )
    distance = np.minimum(np.minimum(sides[0], sides[1]), sides[2])
    on_side, on_level = distance == sides[0], distance == sides[2]
    on_floor, on_ceiling = on_level & (rays[..., 2] < 0), on_level & (rays[..., 2] > 0)
    normals = np.zeros_like(rays)
    normals[on_side, 0] = -np.sign(rays[on_side, 0])
    normals[on_level, 2] = -np.sign(rays[on_level, 2])
    normals[~(on_side | on_level), 1] = -1.0
    points = eye + distance[..., None] * rays
    colour = np.empty_like(rays)
    colour[:] = room.walls
    colour[on_ceiling] = room.ceiling
    colour[on_floor] = board_pattern(room, points[on_floor])
    colour[~on_level & (points[..., 2] < 0.09)] = (0.75, 0.75, 0.73)  # the skirting board
    # corners are darker: light comes from fewer sides; the nearest wall is the one met, the next makes the corner
    across, along = half - np.abs(points[..., 0]), deep - points[..., 1]
    upright = np.minimum(tall - points[..., 2], points[..., 2])
    lower, upper = np.minimum(across, along), np.maximum(across, along)
    gap = np.minimum(np.maximum(lower, upright), upper)  # the middle one of the three
    shade = 1.0 - np.float32(0.38) * np.exp(gap / np.float32(-0.28))
    shade[on_floor] *= _contact(room, points[on_floor])
    nothing = np.zeros(distance.shape, np.float32)
    return _Met(eye, rays, inverse, distance, points, normals, colour, shade, nothing, nothing.copy())


def _contact(room: Room, ground: np.ndarray) -> np.ndarray:
    """(N,) share of the light left on (N, 3) points of the floor by the furniture that stands on it."""
    left = np.ones(len(ground), np.float32)
    for block in room.blocks:
        if block.low[2] > 0.3 or block.high[2] < 0.05:
            continue  # it hangs, or lies flat
        off_x = np.maximum(np.maximum(block.low[0] - ground[:, 0], ground[:, 0] - block.high[0]), 0)
        off_y = np.maximum(np.maximum(block.low[1] - ground[:, 1], ground[:, 1] - block.high[1]), 0)
        near = off_x + off_y < 0.6
        left[near] *= 1.0 - np.float32(0.45) * np.exp(np.hypot(off_x[near], off_y[near]) / np.float32(-0.14))
    return left


def _meet_block(block: Block, camera: Pinhole, met: _Met) -> None:
    """Write a block over what lies behind it, within the part of the image that its corners span."""
    low, high = np.array(block.low, np.float32), np.array(block.high, np.float32)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    at, _ = camera.project(corners)
    left, top = np.clip(np.floor(at.min(0)).astype(int) - 1, 0, camera.size)
    right, bottom = np.clip(np.ceil(at.max(0)).astype(int) + 1, 0, camera.size)
    if right <= left or bottom <= top:
        return
    part = (slice(top, bottom), slice(left, right))
    first = (low - met.eye) * met.inverse[part]
    second = (high - met.eye) * met.inverse[part]
    near, far = np.minimum(first, second), np.maximum(first, second)
    enter, side = near.max(2), near.argmax(2)
    hit = (enter < far.min(2)) & (enter > 0) & (enter < met.distance[part])
    rays = met.rays[part][hit]
    where = met.eye + enter[hit][:, None] * rays
    facing = np.zeros_like(where)
    rows = np.arange(len(where))
    facing[rows, side[hit]] = -np.sign(rays[rows, side[hit]])
    painted = np.tile(np.asarray(block.colour, np.float32), (len(where), 1))
    if block.stripes:
        wave = np.sin(2 * np.pi * (where[:, 0] - low[0] + 0.6 * (where[:, 1] - low[1])) / block.stripes)
        painted *= (1.0 - 0.22 * (wave > 0.4) - 0.1 * wave)[:, None]
    met.distance[part][hit] = enter[hit]
    met.points[part][hit] = where
    met.normals[part][hit] = facing
    met.colour[part][hit] = painted
    met.shade[part][hit] = 0.82 + 0.18 * (where[:, 2] - low[2]) / (high[2] - low[2])  # darker towards the floor
    met.warmer_c[part][hit] = block.warmer_c
    met.glow[part][hit] = block.glow


def board_pattern(room: Room, points: np.ndarray) -> np.ndarray:
    """(N, 3) the floor's colour: boards of slightly different tones, or a carpet."""
    base = np.asarray(room.floor, np.float32)
    if not room.planks_m:
        return np.tile(base, (len(points), 1))
    board = np.floor(points[:, 0] / room.planks_m)
    tone = 1.0 + 0.16 * np.sin(board * 12.9898) + 0.05 * np.sin(points[:, 1] * 9 + board * 4.1)  # any two differ
    seam = np.abs(points[:, 0] / room.planks_m - np.rint(points[:, 0] / room.planks_m)) < 0.05
    return (tone * np.where(seam, 0.7, 1.0))[:, None] * base
