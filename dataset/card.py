"""The dataset's card: `README.md`, for people and for the Hugging Face hub."""

from collections import Counter
from pathlib import Path

import jinja2

from ..calibration.geometry import Calibration
from .info import DatasetInfo
from .loading import COLDEST_C, WARMEST_C
from .schema import list_features
from .tags import CLOTHING, LIGHTING

TEMPLATE = Path(__file__).with_name("card.md.jinja")
BAR = 40  # characters of the histogram's longest bar


def render_card(info: DatasetInfo, calibration: Calibration) -> str:
    """The card's Markdown with its YAML front matter; the same text for the same dataset."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    both = Counter({(colour, light): 0 for colour in CLOTHING for light in LIGHTING})
    for clip in info.clips:
        both[clip.clothing, clip.lighting] += clip.pairs
    rows, columns = info.heatmap_shape
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        info=info,
        calibration=calibration,
        features=list_features(info.heatmap_shape),
        rows=rows,
        columns=columns,
        both=both,
        clothing={colour: sum(both[colour, light] for light in LIGHTING) for colour in CLOTHING},
        lighting={light: sum(both[colour, light] for colour in CLOTHING) for light in LIGHTING},
        occupants=sorted({clip.occupants for clip in info.clips}),
        saturated=sum(clip.saturated * clip.pairs for clip in info.clips) / info.pairs,
        error_lines=draw_histogram(info.pair_errors.edges_ms, info.pair_errors.counts),
        view_width=info.view["cell"] * columns,
        view_height=info.view["cell"] * rows,
        coldest_c=COLDEST_C,
        warmest_c=WARMEST_C,
        size_category=categorise_size(info.pairs),
    )


def draw_histogram(edges: tuple[float, ...], counts: tuple[int, ...]) -> list[str]:
    """One line a bin: its bounds in ms, a bar, its count."""
    most = max(*counts, 1)
    return [
        f"{low:+7.1f} .. {high:+6.1f} ms  {'#' * -(-BAR * count // most):<{BAR}}  {count}"
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]


def categorise_size(pairs: int) -> str:
    """The hub's `size_categories` value."""
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if pairs < bound), "1M<n<10M")
