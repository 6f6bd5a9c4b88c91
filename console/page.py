"""One self-contained HTML page: stages with their figures and pictures, readable without a network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from .. import __version__, write_whole

MIME = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A picture or a video file, and what a reader should see in it."""

    path: Path
    caption: str

    @property
    def video(self) -> bool:
        return MIME[self.path.suffix].startswith("video/")

    @property
    def data(self) -> str:
        """The whole file as a data URI."""
        return f"data:{MIME[self.path.suffix]};base64,{base64.b64encode(self.path.read_bytes()).decode()}"


@dataclass(frozen=True)
class Stage:
    """One stage of the way: what was done, how long it took, and what there is to see.

    Attributes:
        name: anchor on the page.
        title, text: what happened, in words.
        command: the command that does the same.
        seconds: wall time.
        rows: (name, value) figures.
        pictures: in the order they are shown.
    """

    name: str
    title: str
    text: str
    command: str
    seconds: float
    rows: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = field(default=())


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    figures: Sequence[tuple[str, str]],
    stages: Sequence[Stage],
    synthetic: bool,
    hero: Picture | None = None,
) -> None:
    """Write the page, whole or not at all.

    Args:
        figures: (name, value) of the few that matter, shown on top.
        synthetic: True puts the ribbon on it that says a twin made it.
        hero: the one picture that says it all, above the stages.
    """
    html = render(
        "page.html.jinja",
        title=title,
        subtitle=subtitle,
        figures=figures,
        stages=stages,
        synthetic=synthetic,
        hero=hero,
    )
    write_whole(path, html.encode())


def render(template: str, **values: Any) -> str:
    """A page of one of the templates here; what they all look like is in `look.css.jinja`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrt", "console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)


def draw_curves(path: Path, curves: dict[str, list[tuple[float, float]]], x_label: str, y_label: str) -> None:
    """Write curves as an SVG with axes and a legend.

    Args:
        curves: {name: [(x, y), ...]}; at most seven, told apart by colour and by name at the line's end.
    """
    points = [point for curve in curves.values() for point in curve]
    if not points:
        raise ValueError("no points to draw")
    width, height, left, right, top, bottom = 900, 300, 72, 190, 14, 44
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    x1, y1 = max(x1, x0 + 1e-9), max(y1, y0 + 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (x - x0) / (x1 - x0) * (width - left - right)
        return across, height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui,sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for step in range(5):
        value = y0 + (y1 - y0) * step / 4
        _, y = place(x0, value)
        parts.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{value:.3g}</text>')
        at = x0 + (x1 - x0) * step / 4
        x, _ = place(at, y0)
        parts.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle" fill="#555">{at:.0f}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">{x_label}</text>')
    parts.append(
        f'<text x="14" y="{(height - bottom) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(height - bottom) / 2})">{y_label}</text>'
    )
    colours = ("#b5451b", "#1f6f8b", "#5a7d2a", "#7a4f9e", "#8a6d1f", "#3d4f5c", "#b03a76")
    lowest = height - bottom + 0.0  # names are set from the bottom up, so that none covers another or the axis
    drawn = sorted(zip(curves.items(), colours, strict=False), key=lambda each: each[0][1][-1][1])
    for (name, curve), colour in drawn:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = min(place(*curve[-1])[1], lowest)
        lowest = y - 15
        parts.append(f'<text x="{width - right + 8}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    write_whole(path, ("".join(parts) + "</svg>\n").encode())
