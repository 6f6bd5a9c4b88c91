"""Pictures in a terminal: what is written there is read back, pixel by pixel."""

import io
import re

import numpy as np

from lrt.console.terminal import GAP, HIDE, REVEAL, Terminal, half_blocks
from lrt.model.live import Drawn, Heat, Shown

CELL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m\u2580")


def read_back(line: str) -> np.ndarray:
    """(2, W, 3): the pixels of a line of half blocks."""
    cells = np.array([[int(number) for number in cell] for cell in CELL.findall(line)], np.uint8)
    return cells.reshape(-1, 2, 3).transpose(1, 0, 2)


def shown(seed: int) -> Shown:
    picture = np.random.default_rng(seed).integers(0, 256, (40, 64, 3), np.uint8)
    heatmap = np.full((5, 8), 19, np.float32)
    heatmap[0, 0] = 30
    return Shown(Heat(0, np.zeros((8, 8), np.float32)), Drawn(picture, heatmap, 3.0), 41.7, 2)


def test_half_blocks_hold_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    np.testing.assert_array_equal(np.concatenate([read_back(line) for line in half_blocks(pixels)]), pixels)


def test_each_picture_takes_the_place_of_the_one_before():
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.show(shown(1))
    first = stream.getvalue()
    terminal.show(shown(2))
    second = stream.getvalue()[len(first) :]
    terminal.close()
    assert first.startswith(HIDE)
    assert first.count("\n") == second.count("\n") == 21
    assert second.startswith("\x1b[21A\r")
    assert stream.getvalue().endswith(REVEAL)
    rows = second.split("\n")[:20]
    drawn = np.concatenate([read_back(row)[:, -64:] for row in rows])
    np.testing.assert_array_equal(drawn, shown(2).drawn.picture)
    heat = np.concatenate([read_back(row)[:, :32] for row in rows[:10]])
    assert heat[:4, :4].mean() > 150  # the warm corner
    assert heat[4:].max() < 20
    assert all(CELL.sub("#", row).count("#") == (96 if number < 10 else 64) for number, row in enumerate(rows))
    last = re.sub(r"\x1b\[\w", "", second.split("\n")[20])
    assert last.startswith("heat" + " " * (32 + GAP - 4) + "synthetic   42 ms from heat to picture, 2 let go")
