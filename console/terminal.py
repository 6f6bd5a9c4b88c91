"""Drawn pictures in a terminal, two pixels a character: for who is on a Pi by SSH, where there is no screen."""

import sys
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from ..model.live import Shown

GAP = 2  # characters between heat and picture
UPPER_HALF = "\u2580"  # the upper pixel is its ink, the lower one its ground
RESET, HIDE, REVEAL = "\x1b[0m", "\x1b[?25l", "\x1b[?25h"  # ECMA-48; cursor: DEC private mode 25


class Terminal:
    """A place in the terminal in which every picture takes that of the one before.

    Args:
        stream: a terminal that knows 24-bit colours, as nearly all do.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._rows = 0  # of the picture before

    def show(self, shown: "Shown") -> None:
        """Heat and picture side by side, and below them what they are."""
        from ..dataset.loading import normalise_heatmap
        from ..model.live import WORD
        from ..model.pictures import paint_heat

        picture = shown.drawn.picture
        small = picture.shape[0] // 2, picture.shape[1] // 2  # of the heat: both fit into 100 characters
        heat = half_blocks(paint_heat(normalise_heatmap(shown.drawn.heatmap[None]), small)[0])
        heat += [" " * small[1]] * (small[0] - len(heat))
        lines = [f"{left}{' ' * GAP}{right}" for left, right in zip(heat, half_blocks(picture), strict=True)]
        said = f"{shown.latency_ms:.0f} ms from heat to picture, {shown.dropped} let go"
        lines.append(f"{'heat':<{small[1] + GAP}}{WORD}   {said}")
        up = f"\x1b[{self._rows}A\r" if self._rows else HIDE
        self._stream.write(up + "\n".join(f"{line}\x1b[K" for line in lines) + "\n")
        self._stream.flush()
        self._rows = len(lines)

    def close(self) -> None:
        """The last picture stays."""
        self._stream.write(REVEAL)
        self._stream.flush()


def half_blocks(pixels: np.ndarray) -> list[str]:
    """(H, W, 3) uint8, RGB, H even -> H / 2 lines of W characters with their colours."""
    lines = []
    for upper, lower in zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True):
        drawn = (
            f"\x1b[38;2;{a};{b};{c};48;2;{d};{e};{f}m{UPPER_HALF}"
            for (a, b, c), (d, e, f) in zip(upper, lower, strict=True)
        )
        lines.append("".join(drawn) + RESET)
    return lines
