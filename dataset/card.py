"""The dataset's card: `README.md`, for people and for the Hugging Face hub."""

import math
from collections import Counter
from pathlib import Path

import jinja2

from ..calibration.geometry import Calibration
from .info import DatasetInfo
from .loading import COLDEST_C, WARMEST_C
from .schema import list_features
from .tags import UNKNOWN, Vocabulary

TEMPLATE = Path(__file__).with_name("card.md.jinja")
BAR = 40  # characters of the histogram's longest bar


def render_card(info: DatasetInfo, calibration: Calibration | None) -> str:
    """The card's Markdown with its YAML front matter; the same text for the same dataset.

    Args:
        calibration: the one it was cut by; None of an import.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters["spread"] = _say_spread
    vocabulary = Vocabulary.from_dict(info.vocabulary)
    both = Counter[tuple[str, str]]()
    for clip in info.clips:
        both[clip.clothing, clip.lighting] += clip.pairs
    clothing = _list_labels(vocabulary.clothing, [clip.clothing for clip in info.clips])
    lighting = _list_labels(vocabulary.lighting, [clip.lighting for clip in info.clips])
    rows, columns = info.heatmap_shape
    errors = info.pair_errors
    pairs = {clip.clip_id: clip.pairs for clip in info.clips}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        info=info,
        calibration=calibration,
        features=list_features(info.heatmap_shape, info.has_full, vocabulary),
        shards={clip.clip_id: clip.shard for clip in info.clips},
        split_pairs={
            name: {side: sum(pairs[clip_id] for clip_id in clip_ids) for side, clip_ids in sides.items()}
            for name, sides in info.named_splits.items()
        },
        rows=rows,
        columns=columns,
        both=both,
        clothing={colour: sum(both[colour, light] for light in lighting) for colour in clothing},
        lighting={light: sum(both[colour, light] for colour in clothing) for light in lighting},
        occupants=sorted({clip.occupants for clip in info.clips} - {-1}),
        people=len({subject for clip in info.clips for subject in clip.subject.split(",")} - {""}),
        rooms=sorted({clip.room for clip in info.clips} - {""}),
        saturated=sum(clip.saturated * clip.pairs for clip in info.clips) / info.pairs,
        doubts=sorted(Counter(doubt.split(":")[0] for clip in info.clips for doubt in clip.warnings).items()),
        left_out=Counter(clip.reason for clip in info.clips_left_out),
        error_lines=draw_histogram(errors.edges_ms, errors.counts) if errors else [],
        view_width=info.view.get("cell", 0) * columns,
        view_height=info.view.get("cell", 0) * rows,
        coldest_c=COLDEST_C,
        warmest_c=WARMEST_C,
        size_category=categorise_size(info.pairs),
    )


def _say_spread(sd: float) -> str:
    """One standard deviation, or that the calibration's frames did not settle it."""
    return f"+- {sd:.2f}" if math.isfinite(sd) else "+- unknown"


def _list_labels(labels: tuple[str, ...], found: list[str]) -> list[str]:
    """The vocabulary's labels in their order, and "unknown" at the end where a clip has none."""
    return [*labels, *([UNKNOWN] if UNKNOWN in found else [])]


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
