"""What stands in a room: each seed has a layout, colours and a climate of its own.

Along the back wall lie three places, shuffled: a window with curtains (and a radiator in some rooms), a door or a
bookshelf, and a picture over a sofa. A lamp stands at one side wall, a cupboard in some rooms at the other.
"""

import numpy as np

from .render import GAMMA
from .room import Block, Colour, Lamp, Room

WHITE: Colour = (0.8, 0.8, 0.77)
SOFA_DEEP_M = 0.95  # from its front to the wall


def furnish(seed: int, lighting: str) -> Room:
    """The room of a seed under a light: same room, same furniture, either light."""
    rng = np.random.default_rng([seed, 3])
    half, depth, height = rng.uniform(2.0, 2.9), rng.uniform(4.2, 5.2), rng.uniform(2.4, 2.7)
    wood = tuple(np.array([0.42, 0.25, 0.13]) * rng.uniform(0.5, 1.3))
    dark = lighting == "dim"
    window_x, door_x, sofa_x = rng.permutation([-0.62, 0.0, 0.62]) * half
    blocks = hang_window(rng, window_x, depth, dark)
    blocks += build_door(rng, door_x, depth, wood) if rng.random() < 0.5 else fill_shelf(rng, door_x, depth, wood)
    blocks += hang_picture(rng, sofa_x, depth, wood)
    blocks += build_sofa(rng, sofa_x, depth)
    side = -1 if sofa_x > 0 else 1  # of the lamp: where the sofa is not
    lamp_x, lamp_y = side * (half - 0.3), rng.uniform(3.0, 3.6)
    lamp_c, ceiling_x = rng.uniform(2.0, 5.0), rng.uniform(-0.8, 0.8)
    blocks += stand_lamp(lamp_x, lamp_y, lamp_c, wood, dark)
    if rng.random() < 0.5:  # a cupboard
        blocks.append(Block((-lamp_x - 0.35, 3.4, 0.0), (-lamp_x + 0.35, 4.4, rng.uniform(0.7, 1.1)), wood))
    if rng.random() < 0.6:  # a rug
        blocks.append(Block((-1.1, 2.0, 0.0), (1.1, 3.6, 0.01), draw_colour(rng, (0.1, 0.6), (0.25, 0.7)), stripes=0.4))

    walls = draw_colour(rng, (0.02, 0.28), (0.68, 0.92))
    boards = rng.random() < 0.6
    floor = wood if boards else draw_colour(rng, (0.0, 0.2), (0.35, 0.65))
    exposure = rng.uniform(0.9, 1.15)
    air_c, rise_c = rng.uniform(21.2, 23.4), rng.uniform(0.1, 0.5)
    if dark:  # the camera opens up, but not all the way
        lamps = (Lamp((lamp_x, lamp_y, 1.15), (1.05, 0.66, 0.33)), Lamp((side * -0.6, 0.6, 2.2), (0.62, 0.42, 0.25)))
        ambient, exposure = (0.085, 0.065, 0.055), 1.1 * exposure
    else:
        daylight = Lamp((window_x * 0.8, depth - 0.8, 1.7), (0.5, 0.55, 0.62))
        lamps = (daylight, Lamp((ceiling_x, 1.2, height - 0.1), (2.3, 2.2, 2.05)))
        ambient = (0.36, 0.36, 0.37)
    front = depth - SOFA_DEEP_M
    return Room(
        half_width_m=half,
        depth_m=depth,
        height_m=height,
        walls=walls,
        floor=floor,
        ceiling=(0.77, 0.77, 0.75),
        planks_m=0.14 if boards else 0.0,
        blocks=tuple(blocks),
        seat=(sofa_x + rng.uniform(-0.3, 0.3), front + 0.16, rng.normal(0, 0.15)),
        free_depth_m=front - 0.25,
        air_c=air_c,
        rise_c=rise_c,
        lamps=lamps,
        ambient=ambient,
        exposure=exposure,
    )


def draw_colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A colour of any hue, its saturation and value (HSV) from a range."""
    h, s, v = rng.uniform(0, 6), rng.uniform(*saturation), rng.uniform(*value)
    red, green, blue = (v * (1 - s * max(0.0, min(1.0, (k + h) % 6, 4 - (k + h) % 6))) for k in (5, 3, 1))
    return red**GAMMA, green**GAMMA, blue**GAMMA


def on_wall(
    x: float, width: float, z: float, height: float, depth: float, thick: float, colour: Colour, **more: float
) -> Block:
    """A flat thing on the back wall: x its middle, z its lower edge, m."""
    return Block((x - width / 2, depth - thick, z), (x + width / 2, depth, z + height), colour, **more)


def hang_window(rng: np.random.Generator, x: float, depth: float, dark: bool) -> list[Block]:
    """Two panes in a frame, curtains, in some rooms a radiator below; glass is cooler than the room."""
    sky = (0.05, 0.07, 0.14) if dark else (1.6, 1.75, 1.9)
    width, sill = rng.uniform(0.9, 1.4), rng.uniform(0.85, 1.0)
    blocks = [on_wall(x, width + 0.14, sill - 0.07, 1.34, depth, 0.05, WHITE)]
    for side in (-1, 1):
        pane = x + side * (width / 4 + 0.01)
        blocks.append(on_wall(pane, width / 2 - 0.04, sill, 1.2, depth, 0.06, sky, glow=1.0, warmer_c=-1.2))
    curtain = draw_colour(rng, (0.1, 0.5), (0.5, 0.85))
    for side in (-1, 1):
        edge = x + side * (width / 2 + 0.2)
        blocks.append(on_wall(edge, 0.34, sill - 0.25, 1.65, depth, 0.12, curtain, stripes=0.085))
    if rng.random() < 0.6:
        warmer_c = rng.uniform(1.0, 5.0)
        low, high = (x - 0.5, depth - 0.12, 0.15), (x + 0.5, depth - 0.02, 0.7)
        blocks.append(Block(low, high, WHITE, warmer_c=warmer_c, stripes=0.07))
    return blocks


def build_door(rng: np.random.Generator, x: float, depth: float, wood: Colour) -> list[Block]:
    """A door with its frame and handle."""
    colour = wood if rng.random() < 0.5 else WHITE
    return [
        on_wall(x, 1.0, 0.0, 2.1, depth, 0.04, tuple(0.6 * np.array(colour))),
        on_wall(x, 0.86, 0.0, 2.03, depth, 0.06, colour),
        on_wall(x + 0.34, 0.1, 1.0, 0.04, depth, 0.12, (0.3, 0.3, 0.3)),
    ]


def fill_shelf(rng: np.random.Generator, x: float, depth: float, wood: Colour) -> list[Block]:
    """A bookshelf, each board filled with books of one colour."""
    width = rng.uniform(0.8, 1.2)
    blocks = [Block((x - width / 2, depth - 0.35, 0.0), (x + width / 2, depth, 1.9), wood)]
    left = x - width / 2 + 0.05
    for z in np.arange(0.15, 1.75, 0.36):
        right = left + rng.uniform(0.5, 1.0) * (width - 0.1)
        books = draw_colour(rng, (0.1, 0.6), (0.3, 0.8))
        blocks.append(Block((left, depth - 0.37, z), (right, depth - 0.3, z + 0.25), books, stripes=0.06))
    return blocks


def hang_picture(rng: np.random.Generator, x: float, depth: float, wood: Colour) -> list[Block]:
    """A framed picture of a square on a ground."""
    ground = draw_colour(rng, (0.2, 0.7), (0.4, 0.9))
    middle = x + rng.uniform(-0.15, 0.15)
    return [
        on_wall(x, 0.8, 1.35, 0.62, depth, 0.03, wood),
        on_wall(x, 0.72, 1.39, 0.54, depth, 0.04, ground),
        on_wall(middle, 0.3, 1.42, 0.3, depth, 0.045, draw_colour(rng, (0.2, 0.8), (0.3, 0.9))),
    ]


def build_sofa(rng: np.random.Generator, x: float, depth: float) -> list[Block]:
    """Seat, back and two arms."""
    fabric = draw_colour(rng, (0.05, 0.45), (0.3, 0.75))
    half = rng.uniform(1.3, 1.7) / 2
    front, back = depth - SOFA_DEEP_M, depth - 0.1
    pillow = tuple(np.clip(np.array(fabric) * 1.25, 0, 1))
    return [
        Block((x - half, front, 0.0), (x + half, back, 0.44), fabric),
        Block((x - half, back - 0.22, 0.44), (x + half, back, 0.9), pillow),
        Block((x - half - 0.16, front, 0.0), (x - half, back, 0.62), fabric),
        Block((x + half, front, 0.0), (x + half + 0.16, back, 0.62), fabric),
    ]


def stand_lamp(x: float, y: float, warmer_c: float, wood: Colour, lit: bool) -> list[Block]:
    """A lamp on a side table; it is warm while it is lit."""
    shade = (1.6, 1.1, 0.6) if lit else (0.7, 0.62, 0.5)
    low, high = (x - 0.15, y - 0.15, 0.95), (x + 0.15, y + 0.15, 1.25)
    return [
        Block((x - 0.28, y - 0.3, 0.0), (x + 0.28, y + 0.3, 0.6), wood),
        Block((x - 0.03, y - 0.03, 0.6), (x + 0.03, y + 0.03, 0.95), (0.1, 0.1, 0.1)),
        Block(low, high, shade, glow=1.0 if lit else 0.2, warmer_c=warmer_c if lit else 0.0),
    ]
