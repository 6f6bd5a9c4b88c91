"""Small charts as inline SVG, for pages that stand alone: text that a phone shows legibly, colours by the page's style.

A page that shows them styles `svg text`, `.grid`, `.line`, `.rule`, `.band` and, for fills, `.cool`, `.warm`, `.soft`.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A drawing on the page: what it is called, what a reader should see in it, and the SVG."""

    title: str
    caption: str
    svg: Markup


class Chart:
    """Axes of one small figure and what is drawn on them."""

    WIDTH, LEFT, RIGHT, TOP, BOTTOM = 340, 46, 12, 10, 38

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str, height: int = 220
    ) -> None:
        self.x, self.y, self.height = x, y, height
        self.parts: list[str] = []
        right, bottom = self.WIDTH - self.RIGHT, height - self.BOTTOM
        for value in _ticks(*x):
            at = self.place(value, y[0])[0]
            self.parts.append(f'<path class="grid" d="M{at:.1f} {self.TOP}V{bottom}"/>')
            self.parts.append(f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>')
        for value in _ticks(min(y), max(y)):
            at = self.place(x[0], value)[1]
            self.parts.append(f'<path class="grid" d="M{self.LEFT} {at:.1f}H{right}"/>')
            self.parts.append(f'<text x="{self.LEFT - 5}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>')
        middle = (self.TOP + bottom) / 2
        self.parts.append(
            f'<text x="{(self.LEFT + right) / 2}" y="{height - 6}" text-anchor="middle">{Markup.escape(x_label)}</text>'
            f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{Markup.escape(y_label)}</text>'
        )

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a value lies on the figure."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.WIDTH - self.LEFT - self.RIGHT)
        down = (self.y[1] - y) / (self.y[1] - self.y[0]) * (self.height - self.TOP - self.BOTTOM)
        return self.LEFT + across, self.TOP + down

    def line(self, points: Iterable[tuple[float, float]]) -> None:
        path = " ".join("{:.1f},{:.1f}".format(*self.place(*point)) for point in points)
        self.parts.append(f'<polyline class="line" points="{path}"/>')

    def dot(self, x: float, y: float, style: str = "cool") -> None:
        x, y = self.place(x, y)
        shape = f'<path class="{style}" d="M{x:.1f} {y - 4.5:.1f}l4 7h-8z"/>'
        self.parts.append(shape if style == "warm" else f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>')

    def column(self, low: float, high: float, value: float, style: str = "cool") -> None:
        """A bar from zero up to a value, between two places across; one of no height is left out."""
        left, top = self.place(low, value)
        right, bottom = self.place(high, 0)
        if value > 0:
            # A hair between neighbours, and never too thin or too low to see
            width, height = max(right - left - 0.5, 0.6), max(bottom - top, 0.8)
            self.parts.append(
                f'<rect class="{style}" x="{left:.1f}" y="{bottom - height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}"/>'
            )

    def band(self, low: float, high: float, name: str) -> None:
        """A shaded stretch over the whole height, with its name at the top."""
        left, right = self.place(low, 0)[0], self.place(high, 0)[0]
        self.parts.append(
            f'<rect class="band" x="{left:.1f}" y="{self.TOP}" width="{right - left:.1f}" '
            f'height="{self.height - self.TOP - self.BOTTOM}"/>'
            f'<text x="{(left + right) / 2:.1f}" y="{self.TOP + 12}" text-anchor="middle">{Markup.escape(name)}</text>'
        )

    def rule(self, x: float) -> None:
        """An upright line, for the fit."""
        at = self.place(x, self.y[0])[0]
        self.parts.append(f'<path class="rule" d="M{at:.1f} {self.TOP}V{self.height - self.BOTTOM}"/>')

    def picture(self, pixels: np.ndarray) -> None:
        """(h, w, 4) uint8 RGBA over the whole field, every pixel a square."""
        self.parts.append(
            f'<image class="pixels" x="{self.LEFT}" y="{self.TOP}" width="{self.WIDTH - self.LEFT - self.RIGHT}" '
            f'height="{self.height - self.TOP - self.BOTTOM}" preserveAspectRatio="none" '
            f'href="{data_uri(pixels, ".png")}"/>'
        )

    def svg(self, name: str, says: str = "") -> Markup:
        """The figure; `name` and `says` are for who cannot see it."""
        return draw_svg(name, self.WIDTH, self.height, self.parts, says)


def draw_svg(name: str, width: int, height: int, parts: Iterable[str], says: str = "") -> Markup:
    """An SVG of these parts, with a title and what it says in words."""
    described = f"<desc>{Markup.escape(says)}</desc>" if says else ""
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img"><title>{Markup.escape(name)}</title>{described}'
        f"{''.join(parts)}</svg>"
    )


def draw_bars(rows: Sequence[tuple[str, float, str, str]]) -> Markup:
    """(name, value, shown, style) as bars to the right; none below zero."""
    most = max(1e-9, *(value for _, value, _, _ in rows))
    parts = []
    for number, (name, value, shown, style) in enumerate(rows):
        y, length = 8 + 24 * number, 160 * max(value, 0) / most
        parts.append(
            f'<text x="112" y="{y + 12}" text-anchor="end">{Markup.escape(name)}</text>'
            f'<rect class="bar {style}" x="118" y="{y}" width="{length:.1f}" height="16"/>'
            f'<text x="{124 + length:.1f}" y="{y + 12}">{Markup.escape(shown)}</text>'
        )
    return draw_svg("Bars", Chart.WIDTH, 12 + 24 * len(rows), parts)


def data_uri(pixels: np.ndarray, suffix: str, quality: int = 95) -> str:
    """(H, W, 3) uint8 RGB, or (H, W, 4) RGBA, as a data URI; `suffix` is `.png` or `.jpg`, `quality` a JPEG's."""
    order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    choices = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    encoded = cv2.imencode(suffix, cv2.cvtColor(pixels, order), choices)[1]
    kind = "jpeg" if suffix == ".jpg" else suffix[1:]
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _ticks(low: float, high: float) -> list[float]:
    """About four round values between two."""
    raw = (high - low) / 4
    power = 10 ** np.floor(np.log10(raw))
    step = power * min((1, 2, 5, 10), key=lambda each: abs(each - raw / power))
    return [round(float(each), 10) for each in np.arange(np.ceil(low / step), np.floor(high / step + 1e-9) + 1) * step]
