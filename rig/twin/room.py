"""A room that looks like one: walls, floor, window, furniture, and light on them.

Everything is a box or a rectangle on a wall, so that one ray a pixel gives colour, depth and warmth.
"""

from dataclasses import dataclass

import numpy as np

from .render import Pinhole

GAMMA = 2.2


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
    colour: tuple[float, float, float]
    warmer_c: float = 0.0
    glow: float = 0.0
    stripes: float = 0.0


@dataclass(frozen=True)
class Lamp:
    """A light: where, how strong and of what colour, linear RGB."""

    at: tuple[float, float, float]
    colour: tuple[float, float, float]


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
    walls: tuple[float, float, float]
    floor: tuple[float, float, float]
    ceiling: tuple[float, float, float]
    planks_m: float
    blocks: tuple[Block, ...]
    seat: tuple[float, float, float] | None
    free_depth_m: float
    air_c: float
    rise_c: float
    lamps: tuple[Lamp, ...] = ()
    ambient: tuple[float, float, float] = (0.0, 0.0, 0.0)
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


def hue(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> tuple:
    """A colour drawn from a range, linear RGB."""
    h, s, v = rng.uniform(0, 6), rng.uniform(*saturation), rng.uniform(*value)
    part = [v * (1 - s * max(0.0, min(1.0, (k + h) % 6, 4 - (k + h) % 6))) for k in (5, 3, 1)]
    return tuple(p**GAMMA for p in part)


def furnish(seed: int, lighting: str) -> Room:
    """The room of a seed under a light: same room, same furniture, either light."""
    rng = np.random.default_rng([seed, 3])
    half, depth, height = rng.uniform(2.0, 2.9), rng.uniform(4.2, 5.2), rng.uniform(2.4, 2.7)
    wood = tuple(np.array([0.42, 0.25, 0.13]) * rng.uniform(0.5, 1.3))
    white = (0.8, 0.8, 0.77)
    dark = lighting == "dim"
    blocks: list[Block] = []

    def wall_thing(x: float, w: float, z: float, h: float, colour, thick: float = 0.03, **more) -> None:
        blocks.append(Block((x - w / 2, depth - thick, z), (x + w / 2, depth, z + h), colour, **more))

    # along the back wall: three places; window, door or picture, and a piece of furniture below
    places = rng.permutation([-0.62, 0.0, 0.62]) * half
    wx = places[0]
    sky = (0.05, 0.07, 0.14) if dark else (1.6, 1.75, 1.9)
    ww, wz = rng.uniform(0.9, 1.4), rng.uniform(0.85, 1.0)
    wall_thing(wx, ww + 0.14, wz - 0.07, 1.34, white, 0.05)
    wall_thing(wx - ww / 4 - 0.01, ww / 2 - 0.04, wz, 1.2, sky, 0.06, glow=1.0, warmer_c=-1.2)
    wall_thing(wx + ww / 4 + 0.01, ww / 2 - 0.04, wz, 1.2, sky, 0.06, glow=1.0, warmer_c=-1.2)
    curtain = hue(rng, (0.1, 0.5), (0.5, 0.85))
    for side in (-1, 1):
        wall_thing(wx + side * (ww / 2 + 0.2), 0.34, wz - 0.25, 1.65, curtain, 0.12, stripes=0.085)
    if rng.random() < 0.6:
        blocks.append(
            Block((wx - 0.5, depth - 0.12, 0.15), (wx + 0.5, depth - 0.02, 0.7), white,
                  warmer_c=rng.uniform(1.0, 5.0), stripes=0.07)
        )  # fmt: skip
    dx = places[1]
    if rng.random() < 0.5:
        door = wood if rng.random() < 0.5 else white
        wall_thing(dx, 1.0, 0.0, 2.1, tuple(0.6 * np.array(door)), 0.04)
        wall_thing(dx, 0.86, 0.0, 2.03, door, 0.06)
        wall_thing(dx + 0.34, 0.1, 1.0, 0.04, (0.3, 0.3, 0.3), 0.12)
    else:
        sw = rng.uniform(0.8, 1.2)
        blocks.append(Block((dx - sw / 2, depth - 0.35, 0.0), (dx + sw / 2, depth, 1.9), wood))
        for shelf in np.arange(0.15, 1.75, 0.36):
            left, filled = dx - sw / 2 + 0.05, rng.uniform(0.5, 1.0) * (sw - 0.1)
            blocks.append(
                Block((left, depth - 0.37, shelf), (left + filled, depth - 0.3, shelf + 0.25),
                      hue(rng, (0.1, 0.6), (0.3, 0.8)), stripes=0.06)
            )  # fmt: skip
    px = places[2]
    wall_thing(px, 0.8, 1.35, 0.62, wood, 0.03)
    wall_thing(px, 0.72, 1.39, 0.54, hue(rng, (0.2, 0.7), (0.4, 0.9)), 0.04)
    wall_thing(px + rng.uniform(-0.15, 0.15), 0.3, 1.42, 0.3, hue(rng, (0.2, 0.8), (0.3, 0.9)), 0.045)

    # a sofa below the picture
    fabric = hue(rng, (0.05, 0.45), (0.3, 0.75))
    sw, front = rng.uniform(1.3, 1.7), depth - 0.95
    pillow = tuple(np.clip(np.array(fabric) * 1.25, 0, 1))
    blocks += [
        Block((px - sw / 2, front, 0.0), (px + sw / 2, depth - 0.1, 0.44), fabric),
        Block((px - sw / 2, depth - 0.32, 0.44), (px + sw / 2, depth - 0.1, 0.9), pillow),
        Block((px - sw / 2 - 0.16, front, 0.0), (px - sw / 2, depth - 0.1, 0.62), fabric),
        Block((px + sw / 2, front, 0.0), (px + sw / 2 + 0.16, depth - 0.1, 0.62), fabric),
    ]
    # a side table with a lamp or a screen, against a side wall
    side = -1 if px > 0 else 1
    tx, ty = side * (half - 0.3), rng.uniform(3.0, 3.6)
    blocks.append(Block((tx - 0.28, ty - 0.3, 0.0), (tx + 0.28, ty + 0.3, 0.6), wood))
    lamp_at = (tx, ty, 1.15)
    lamp_c, ceiling_x = rng.uniform(2.0, 5.0), rng.uniform(-0.8, 0.8)
    shade = (1.6, 1.1, 0.6) if dark else (0.7, 0.62, 0.5)
    blocks.append(Block((tx - 0.03, ty - 0.03, 0.6), (tx + 0.03, ty + 0.03, 0.95), (0.1, 0.1, 0.1)))
    blocks.append(
        Block((tx - 0.15, ty - 0.15, 0.95), (tx + 0.15, ty + 0.15, 1.25), shade,
              glow=1.0 if dark else 0.2, warmer_c=lamp_c if dark else 0.0)
    )  # fmt: skip
    if rng.random() < 0.5:
        blocks.append(Block((-tx - 0.35, 3.4, 0.0), (-tx + 0.35, 4.4, rng.uniform(0.7, 1.1)), wood))
    if rng.random() < 0.6:  # a rug
        blocks.append(Block((-1.1, 2.0, 0.0), (1.1, 3.6, 0.01), hue(rng, (0.1, 0.6), (0.25, 0.7)), stripes=0.4))

    walls = hue(rng, (0.02, 0.28), (0.68, 0.92))
    floor = wood if rng.random() < 0.6 else hue(rng, (0.0, 0.2), (0.35, 0.65))
    planks = 0.14 if floor is wood else 0.0
    exposure = rng.uniform(0.9, 1.15)
    air, rise = rng.uniform(21.2, 23.4), rng.uniform(0.1, 0.5)
    if dark:
        lamps = (
            Lamp(lamp_at, (1.05, 0.66, 0.33)),
            Lamp((side * -0.6, 0.6, 2.2), (0.62, 0.42, 0.25)),
        )
        ambient, exposure = (0.085, 0.065, 0.055), 1.1 * exposure
    else:
        lamps = (
            Lamp((wx * 0.8, depth - 0.8, 1.7), (0.5, 0.55, 0.62)),
            Lamp((ceiling_x, 1.2, height - 0.1), (2.3, 2.2, 2.05)),
        )
        ambient = (0.36, 0.36, 0.37)
    return Room(
        half_width_m=half,
        depth_m=depth,
        height_m=height,
        walls=walls,
        floor=floor,
        ceiling=(0.77, 0.77, 0.75),
        planks_m=planks,
        blocks=tuple(blocks),
        seat=(px + rng.uniform(-0.3, 0.3), front + 0.16, rng.normal(0, 0.15)),
        free_depth_m=front - 0.25,
        air_c=air,
        rise_c=rise,
        lamps=lamps,
        ambient=ambient,
        exposure=exposure,
    )


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
    rays = camera.rays()
    eye = np.array([camera.x, 0.0, camera.z], np.float32)
    height, width = rays.shape[:2]
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
    warmer = np.zeros((height, width), np.float32)
    glow = np.zeros((height, width), np.float32)
    ground, contact = points[on_floor], np.ones(int(on_floor.sum()), np.float32)
    for block in room.blocks:
        if block.low[2] > 0.3 or block.high[2] < 0.05:
            continue  # it does not stand on the floor and darken it
        off_x = np.maximum(np.maximum(block.low[0] - ground[:, 0], ground[:, 0] - block.high[0]), 0)
        off_y = np.maximum(np.maximum(block.low[1] - ground[:, 1], ground[:, 1] - block.high[1]), 0)
        near = off_x + off_y < 0.6
        contact[near] *= 1.0 - np.float32(0.45) * np.exp(np.hypot(off_x[near], off_y[near]) / np.float32(-0.14))
    shade[on_floor] *= contact
    for block in room.blocks:
        low, high = np.array(block.low, np.float32), np.array(block.high, np.float32)
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        at, _ = camera.project(corners)
        left, top = np.clip(np.floor(at.min(0)).astype(int) - 1, 0, [width, height])
        right, bottom = np.clip(np.ceil(at.max(0)).astype(int) + 1, 0, [width, height])
        if right <= left or bottom <= top:
            continue
        part = (slice(top, bottom), slice(left, right))
        first = (low - eye) * inverse[part]
        second = (high - eye) * inverse[part]
        near, far = np.minimum(first, second), np.maximum(first, second)
        enter, side = near.max(2), near.argmax(2)
        hit = (enter < far.min(2)) & (enter > 0) & (enter < distance[part])
        distance[part][hit] = enter[hit]
        where = eye + enter[hit][:, None] * rays[part][hit]
        points[part][hit] = where
        facing = np.zeros_like(where)
        rows = np.arange(len(where))
        facing[rows, side[hit]] = -np.sign(rays[part][hit][rows, side[hit]])
        normals[part][hit] = facing
        painted = np.tile(np.asarray(block.colour, np.float32), (len(where), 1))
        if block.stripes:
            wave = np.sin(2 * np.pi * (where[:, 0] - low[0] + 0.6 * (where[:, 1] - low[1])) / block.stripes)
            painted *= (1.0 - 0.22 * (wave > 0.4) - 0.1 * wave)[:, None]
        colour[part][hit] = painted
        low_edge = np.clip((where[:, 2] - low[2]) / max(high[2] - low[2], 1e-3), 0, 1)
        shade[part][hit] = 0.82 + 0.18 * low_edge
        warmer[part][hit] = block.warmer_c
        glow[part][hit] = block.glow
    lit = light_on(room, points, normals) * shade[..., None]
    linear = colour * (lit * (1 - glow[..., None]) + glow[..., None]) * room.exposure
    celsius = room.air_c + room.rise_c * (points[..., 2] - 1.0) + warmer
    return Surfaces(distance.astype(np.float32), linear.astype(np.float32), celsius.astype(np.float32))


def board_pattern(room: Room, points: np.ndarray) -> np.ndarray:
    """(N, 3) the floor's colour: boards of slightly different tones, or a carpet."""
    base = np.asarray(room.floor, np.float32)
    if not room.planks_m:
        return np.tile(base, (len(points), 1))
    board = np.floor(points[:, 0] / room.planks_m)
    tone = 1.0 + 0.16 * np.sin(board * 12.9898) + 0.05 * np.sin(points[:, 1] * 9 + board * 4.1)  # any two differ
    seam = np.abs(points[:, 0] / room.planks_m - np.rint(points[:, 0] / room.planks_m)) < 0.05
    return (tone * np.where(seam, 0.7, 1.0))[:, None] * base
