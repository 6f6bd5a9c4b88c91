"""What `lrt evaluate` says to a person."""

from collections.abc import Iterator
from typing import Any

from .figures import Group, describe_sides, gap_row, group_figures, pair_figures

NAME = 44  # characters before the figures


def evaluation_text(result: dict[str, Any]) -> str:
    """The figures of an evaluation as lines, each between what real pictures give and what chance gives.

    Args:
        result: as `measuring.evaluate` returned it: of one split, or of what was seen and what was not.
    """
    lines = _of_two_sides(result) if "unseen" in result else _of_one(group_figures(result))
    return "\n".join([*lines, result["page"]])


def _of_one(groups: list[Group]) -> Iterator[str]:
    for group in groups:
        yield group.title
        for row in group.rows:
            bounds = f", {row.bounds}" if row.bounds else ""
            yield f"  {row.name:<{NAME}}{row.figure}{bounds}"
        for note in group.notes:
            yield f"  {note}"


def _of_two_sides(result: dict[str, Any]) -> Iterator[str]:
    yield describe_sides(result)
    for figures in pair_figures(result):
        for side, row in zip(("seen", "unseen"), figures, strict=True):
            name = row.name if side == "seen" else ""
            bounds = f", {row.bounds}" if row.bounds else ""
            yield f"  {name:<{NAME}}{side:<8}{row.figure}{bounds}"
    gap = gap_row(result)
    yield f"  {gap.name:<{NAME}}{'':<8}{gap.figure}"
