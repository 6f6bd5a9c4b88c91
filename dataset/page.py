"""A dataset as a page to look at: one HTML file that needs no other, and no script.

The card says what a dataset is; the page shows it: pairs of every clip, the pairs that look wrong, what is spread how.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from .. import __version__, write_whole
from ..calibration.charts import Chart, Figure, data_uri
from .info import ClipInfo, DatasetInfo
from .loading import COLDEST_C, WARMEST_C
from .show import ShowError, check_new_file, colour_heat
from .survey import Histogram, Strip, Survey

PAGE_ENDINGS = (".html",)
IN_A_ROW = 4  # pairs on one strip: 80 px each on a phone
LEAST_AGREEMENT = 0.3  # median over a clip below which to look twice; twin clips have 0.5 to 0.9
MOST_ROWS = 2000  # of the table of clips: 0.7 MB; dataset.json has them all
MOST_FINDINGS = 200  # of either list of doubtful clips, likewise
MOST_BARS = 150  # clips drawn one by one: more would be thinner than a line
NAMED = 6  # of a list of names; more are counted
JPEG_QUALITY = 88  # of tiles; the worst pairs are shown to the pixel


@dataclass(frozen=True)
class _Labels:
    """Pairs by clothing (down) and lighting (across), those that do not occur too: a gap is worth seeing."""

    lighting: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def count(cls, info: DatasetInfo) -> "_Labels":
        clothing = dict.fromkeys([*info.vocabulary["clothing"], *sorted(clip.clothing for clip in info.clips)])
        lighting = dict.fromkeys([*info.vocabulary["lighting"], *sorted(clip.lighting for clip in info.clips)])
        pairs: Counter[tuple[str, str]] = Counter()
        for clip in info.clips:
            pairs[clip.clothing, clip.lighting] += clip.pairs
        rows = tuple((colour, tuple(pairs[colour, light] for light in lighting)) for colour in clothing)
        return cls(tuple(lighting), rows)

    @property
    def most(self) -> int:
        return max(max(counts) for _, counts in self.rows)


def write_page(survey: Survey, name: str, out: Path) -> int:
    """Write the page, whole or not at all; returns its size in bytes.

    Args:
        name: what the dataset is called.
        out: *.html, a new file.

    Raises:
        ShowError: it is called otherwise, is there already, or cannot be written.
    """
    check_new_file(out, PAGE_ENDINGS)
    content = render_page(survey, name).encode()
    try:
        write_whole(out, content)
    except OSError as error:
        raise ShowError(f"{out}: cannot be written ({error.strerror or error})") from error
    return len(content)


def render_page(survey: Survey, name: str) -> str:
    """The page; the same text for the same dataset."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrt", "dataset"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["commas"] = "{:,}".format
    environment.filters["picture"] = lambda pixels: data_uri(pixels, ".png")
    environment.filters["heat"] = lambda celsius: data_uri(colour_heat(celsius), ".png")
    info = survey.info
    return environment.get_template("page.html.jinja").render(
        name=name,
        info=info,
        survey=survey,
        tiles=_list_tiles(survey),
        facts=_list_facts(info),
        strips=[(strip, _tell_tags(strip.clip), _cut(strip)) for strip in survey.strips],
        figures=_draw_figures(survey),
        labels=_Labels.count(info),
        splits=_list_splits(info),
        doubted=find_doubted(survey),
        worst=[
            ("Heat and picture disagree most", "doubtful", survey.doubtful),
            ("Heat and picture furthest apart in time", "late", survey.late),
        ],
        rows=info.clips[:MOST_ROWS],
        told={name: any(getattr(clip, name) for clip in info.clips) for name in ("subject", "room")},
        doubts=[
            ("Clips left out whole", [(clip.clip_id, clip.says) for clip in info.clips_left_out]),
            ("Clips taken, with a doubt", [(clip.clip_id, says) for clip in info.clips for says in clip.warnings]),
        ],
        most_findings=MOST_FINDINGS,
        coldest_c=COLDEST_C,
        warmest_c=WARMEST_C,
        legend=data_uri(colour_heat(np.linspace(COLDEST_C, WARMEST_C, 64, dtype=np.float32)[None]), ".png"),
        version=__version__,
        finite=math.isfinite,
    )


def find_doubted(survey: Survey) -> list[str]:
    """The clips to look at twice, since their heat and pictures hardly agree."""
    return [clip_id for clip_id, value in survey.agreements.items() if value < LEAST_AGREEMENT]


def _list_tiles(survey: Survey) -> list[tuple[str, str]]:
    """(value, name) of the figures that say most."""
    info = survey.info
    splits = " + ".join(f"{count:,} {split}" for split, count in info.splits.items())
    matched = list(survey.agreements.values())
    errors = info.pair_errors
    whole = len(info.clips_left_out)
    out = f", {whole:,} whole clip{'s' if whole > 1 else ''} among them" if whole else ""
    return [
        (f"{info.pairs:,}", f"pairs: {splits}"),
        (f"{len(info.clips):,}", "clips"),
        (f"{errors.p95_ms:.1f} ms" if errors else "not known", "between heat and picture, 95 % below"),
        (f"{np.median(matched):.2f}" if matched else "not known", "agreement of heat and picture, median clip"),
        (f"{survey.colder + survey.warmer:.2%}", f"of the heat outside {COLDEST_C:.0f} to {WARMEST_C:.0f} degC"),
        (f"{sum(info.left_out.values()):,}", f"heatmaps left out{out}"),
    ]


def _list_facts(info: DatasetInfo) -> list[tuple[str, str]]:
    """(name, value): Table 2 of the paper, and what else tells the dataset from another."""
    rows, columns = info.heatmap_shape
    degrees = info.field_of_view_deg
    facts = [
        ("Thermal sensor", info.sensor),
        ("Heatmap resolution", f"{columns}x{rows}{' (of the 8x8 of the sensor, kept too)' if info.has_full else ''}"),
        ("Camera", info.camera),
        ("RGB resolution", f"{info.image_shape[1]}x{info.image_shape[0]}"),
        ("Field of view", f"{degrees[0]:.1f} x {degrees[1]:.1f} degrees" if degrees else "not known"),
        ("Pairs", f"{info.pairs:,} in {len(info.clips):,} clips"),
        ("Occupants", _join({str(clip.occupants) for clip in info.clips})),
        ("Clothing", _join({clip.clothing for clip in info.clips})),
        ("Lighting", _join({clip.lighting for clip in info.clips})),
    ]
    subjects, rooms = ({getattr(clip, name) for clip in info.clips} - {""} for name in ("subject", "room"))
    tags = {tag for clip in info.clips for tag in clip.tags}
    facts += [("People", f"{len(subjects)}: {_join(subjects)}")] if subjects else []
    facts += [("Rooms", _join(rooms))] if rooms else []
    facts += [("Free tags", _join(tags))] if tags else []
    facts += [("Noise of the sensor", f"{info.noise_c:.2f} degC, one standard deviation")] if info.noise_c else []
    return [*facts, ("Scope of the consents", info.scope)]


def _join(values: set[str]) -> str:
    """Some of them by name, in order."""
    named = sorted(values)
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more


def _list_splits(info: DatasetInfo) -> list[dict[str, object]]:
    """Clips and pairs on either side of each way to split."""
    rows = []
    for name, sides in info.named_splits.items():
        pairs = {clip.clip_id: clip.pairs for clip in info.clips}
        train, test = sides.get("train", []), sides.get("test", [])
        rows.append(
            {
                "name": name,
                "train_clips": len(train),
                "train_pairs": sum(pairs[clip_id] for clip_id in train),
                "test_clips": len(test),
                "test_pairs": sum(pairs[clip_id] for clip_id in test),
                "held_out": _join(set(test)),
            }
        )
    return rows


def _tell_tags(clip: ClipInfo) -> str:
    """What the clip shows, in words."""
    who = "nobody in view" if clip.occupants == 0 else f"{clip.clothing} shirt"
    known = [who, f"{clip.lighting} light", clip.room, clip.subject, *clip.tags]
    return ", ".join(each for each in known if each)


def _cut(strip: Strip) -> list[tuple[str, str, int]]:
    """(pictures, heat, how many) of rows of pairs: pictures as one JPEG, their heat as one PNG, a pixel a cell."""
    rows = [strip.pairs[start : start + IN_A_ROW] for start in range(0, len(strip.pairs), IN_A_ROW)]
    return [
        (
            data_uri(np.hstack([pair.image for pair in row]), ".jpg", JPEG_QUALITY),
            data_uri(colour_heat(np.hstack([pair.heatmap for pair in row])), ".png"),
            len(row),
        )
        for row in rows
    ]


# ------------------------------------------------------------------------------------------------------------- figures


def _draw_figures(survey: Survey) -> list[Figure]:
    info, errors = survey.info, survey.info.pair_errors
    outside = f"{survey.colder:.2%} of the cells are colder and {survey.warmer:.2%} warmer"
    figures = [
        Figure(
            "Heat",
            f"Every cell of every heatmap. A model sees {COLDEST_C:.0f} to {WARMEST_C:.0f} degC (shaded) and takes "
            f"the rest for one end or the other: {outside}.",
            _draw_histogram(survey.heat, "Heat", "degC", (COLDEST_C, WARMEST_C), outside),
        )
    ]
    if errors:
        figures.append(
            Figure(
                "Time from heatmap to picture",
                "How much later the picture was taken. Even on both sides of zero is what two devices give that run "
                "freely; a lean to one side is a time offset left over. Median of its size "
                f"{errors.p50_ms:.1f} ms, worst {errors.worst_ms:.1f} ms.",
                _draw_histogram(survey.gaps, "Time from heatmap to picture", "ms"),
            )
        )
    if any(survey.matches.counts):
        figures.append(
            Figure(
                "Agreement of heat and picture",
                "For each pair: the correlation between where the picture changed within its clip and where it got "
                f"warmer; known of {sum(survey.matches.counts):,} pairs, for nothing is learnt from a person who "
                "stands still. Most should lie well to the right; a heap at zero or below is heat of another place.",
                _draw_histogram(survey.matches, "Agreement of heat and picture", "correlation"),
            )
        )
    order = "" if len(info.clips) > MOST_BARS else "In the order of their names; test clips in the second colour. "
    return [*figures, Figure("Pairs of each clip", order + _tell_range(info), _draw_clips(info))]


def _tell_range(info: DatasetInfo) -> str:
    counts = [clip.pairs for clip in info.clips]
    least, most = min(counts), max(counts)
    return f"{most:,} pairs each." if least == most else f"From {least:,} to {most:,} pairs."


def _draw_histogram(
    histogram: Histogram, name: str, unit: str, band: tuple[float, float] | None = None, says: str = ""
) -> Markup:
    """Shares of all, in percent; `band` is marked with its ends."""
    edges, shares = histogram.edges, 100 * np.array(histogram.counts) / max(1, sum(histogram.counts))
    ends = (edges[0], edges[-1], *(band or ()))
    low, high = min(ends), max(ends)
    chart = Chart((low, high), (0, 1.12 * max(float(shares.max()), 1e-3)), unit, "% of all")
    if band:
        chart.band(*band, "what a model sees")
    for left, right, share in zip(edges, edges[1:], shares, strict=False):
        inside = band is None or (left >= band[0] and right <= band[1])
        chart.column(left, right, float(share), "cool" if inside else "warm")
    most = int(shares.argmax())
    most_at = f"most of all, {shares[most]:.0f} %, from {edges[most]:.3g} to {edges[most + 1]:.3g}"
    return chart.svg(
        f"{name}, histogram in {unit}", f"From {edges[0]:.3g} to {edges[-1]:.3g} {unit}; {most_at}. {says}"
    )


def _draw_clips(info: DatasetInfo) -> Markup:
    counts = [clip.pairs for clip in info.clips]
    if len(counts) > MOST_BARS:
        heights, edges = np.histogram(counts, bins=20)
        histogram = Histogram(tuple(edges.tolist()), tuple(heights.tolist()))
        return _draw_histogram(histogram, "Pairs of each clip", "pairs of a clip")
    chart = Chart((0, len(counts)), (0, 1.08 * max(counts)), "clip", "pairs")
    for number, clip in enumerate(info.clips):
        chart.column(number + 0.08, number + 0.92, clip.pairs, "warm" if clip.split == "test" else "cool")
    return chart.svg("Pairs of each clip", _tell_range(info))
