"""The page of an evaluation: figures as bars from a failing generator to a perfect one, and the pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import write_whole
from .figures import Row, describe_sides, gap_row, group_figures, pair_figures
from .page import Picture, render

TOP = {"reconstruction error, 0..1", "heat-image correlation", "clothing of the source"}  # and what follows
TOP |= {"overlap with the real silhouette, IoU", "FID", "Kernel distance"}
WORST = 8  # clips in the table


@dataclass(frozen=True)
class Bar:
    """A row's bar, places in percent of its width: a failing generator is at its left end, a perfect one at its right.

    Attributes:
        value: the figure's; one beyond an end is put there.
        low, high: its interval's.
        beyond: the figure lies outside the bar.
    """

    value: float
    low: float
    high: float
    beyond: bool


def draw_bar(row: Row) -> Bar | None:
    """A row's bar; None where the ends are not known, or one."""
    place = row.place(row.value)
    if place is None:
        return None
    ends = sorted(place if at is None else at for at in (row.place(row.low), row.place(row.high)))
    low, high = (100 * min(max(at, 0.0), 1.0) for at in ends)
    return Bar(100 * min(max(place, 0.0), 1.0), low, high, not 0 <= place <= 1)


def write_evaluation_page(path: Path, result: dict[str, Any], about: str) -> None:
    """Write the page of one evaluation, whole or not at all.

    Args:
        path: its file.
        result: as `measuring.evaluate` tells it.
        about: the run in a line.
    """
    groups = group_figures(result)
    rows = [row for group in groups for row in group.rows]
    clips = sorted(result["reconstruction"]["per_clip"].items(), key=lambda item: item[1], reverse=True)
    html = render(
        "evaluation.html.jinja",
        title="How well it draws",
        subtitle=f"{about}; {result['pairs']:,} pairs, {result['split']} split.",
        top=[(row.name, row.show(row.value)) for row in rows if row.name in TOP and row.value is not None],
        groups=groups,
        bar=draw_bar,
        worst_clips=clips[:WORST],
        all_clips=len(clips),
        mean=result["mae"],
        pictures={name: Picture(Path(file), _CAPTIONS[name]) for name, file in result["pictures"].items()},
        synthetic=result["synthetic"],
    )
    write_whole(path, html.encode())


def write_sides_page(path: Path, result: dict[str, Any], about: str) -> None:
    """Write the page of what was seen beside what was not; each side's own page lies in its folder.

    Args:
        path, about: as above.
        result: of two sides.
    """
    html = render(
        "unseen.html.jinja",
        title=f"What it never saw: {result['named']}",
        subtitle=f"{about}; {describe_sides(result)}.",
        trained_on=result["seen_was_trained_on"],
        gap=gap_row(result),
        figures=pair_figures(result),
        bar=draw_bar,
        pictures=[
            (side, Picture(Path(result[side]["pictures"]["grid"]), _CAPTIONS["grid"])) for side in ("seen", "unseen")
        ],
        synthetic=result["unseen"]["synthetic"],
    )
    write_whole(path, html.encode())


_CAPTIONS = {
    "grid": "Source pictures across the top, heatmaps down the side: clothing and light should follow the column, "
    "position and pose the row. All but the top row is drawn.",
    "curves": "The clips of least, middle and greatest error, each redrawn with the code of one frame: the error of "
    "every frame, the source marked. Above one another heat, the real picture, the drawn one.",
    "worst": "The frame of greatest error of each of the worst clips, with the source that lent clothing and light.",
}
