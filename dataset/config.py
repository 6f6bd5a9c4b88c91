"""How a dataset is cut, paired, chosen and split."""

from dataclasses import dataclass

from .consent import SCOPES
from .quality import RULES
from .schema import DatasetError
from .splits import SPLIT_BY

MOST_CELLS = 64  # along a side: eight to a thermal pixel, beyond which nothing is gained


@dataclass(frozen=True)
class BuildConfig:
    """What a dataset's content depends on, beside the clips and the calibration."""

    shape: tuple[int, int] = (5, 8)  # heatmap rows, columns; the paper's. (12, 16) in PAIR-LRT-Human
    upscale: int = 8  # picture pixels along a heatmap cell; the generators' three doublings
    max_gap_ms: float = 50.0  # half the sensor's period at 10 Hz: further away another heatmap is nearer
    test_fraction: float = 0.1  # of the clips, held out when none is named
    test_clips: tuple[str, ...] = ()  # ids of the clips held out; empty: by `test_fraction`
    split_by: str = "clip"  # or "subject": all clips of a person on one side
    scope: str = SCOPES[0]  # what the dataset is for; a clip whose consent does not go so far is left out
    allow: tuple[str, ...] = ()  # quality rules that a clip may fail

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or not all(1 <= side <= MOST_CELLS for side in self.shape) or self.upscale < 1:
            raise DatasetError(
                f"shape {self.shape} and upscale {self.upscale}: give whole numbers of 1 or more, and at most "
                f"{MOST_CELLS} cells along a side"
            )
        if not self.max_gap_ms > 0:
            raise DatasetError(f"max gap is {self.max_gap_ms} ms; give more than 0")
        if not 0 <= self.test_fraction < 1:
            raise DatasetError(f"test fraction is {self.test_fraction}; give 0 or more and less than 1")
        if self.split_by not in SPLIT_BY:
            raise DatasetError(f"split by '{self.split_by}' is not known; choose one of {', '.join(SPLIT_BY)}")
        unknown = sorted(set(self.allow) - set(RULES))
        if unknown:
            raise DatasetError(f"rule '{unknown[0]}' is not known; the quality rules are {', '.join(RULES)}")
        if self.scope not in SCOPES:
            raise DatasetError(f"scope '{self.scope}' is not known; choose one of {', '.join(SCOPES)}")


def parse_size(size: str) -> tuple[int, int]:
    """(rows, columns) of a heatmap from words like "8x5", columns first as sizes are said.

    Raises:
        DatasetError: not two whole numbers.
    """
    columns, _, rows = size.partition("x")
    if not (columns.isdecimal() and rows.isdecimal()):
        raise DatasetError(f"size '{size}': give columns x rows of the heatmap, like 8x5 or 16x12")
    return int(rows), int(columns)
