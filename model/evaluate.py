"""Evaluation of a finished run: the paper's reconstruction error, Figures 7 and 8 as pictures and as numbers, FID."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, write_whole
from ..dataset.loading import PairSet, normalise_heatmap
from .control import Control, of_different_clips
from .device import pick_device
from .distances import Distances
from .drawing import Painter
from .features import load_features
from .full import PARTS, Full, FullConfig, measure_full
from .measures import diversity, heat_image_correlation, shuffle_within
from .memory import Memory
from .pictures import draw_curve, paint_heat, sheet, stack, write_png
from .reconstruction import ClipCurve, Reconstruction, frames_table, reconstruct
from .run import RunError
from .seen import find_trained
from .silhouette import Silhouette

MEASURED = 2000  # frames, spread over the clips, on which correlation is measured
GRID_SOURCES, GRID_HEATMAPS = 8, 6  # Fig. 7's k and n
CURVES, STRIP = 3, 10  # clips in the picture of Fig. 8, and frames of each


@dataclass(frozen=True)
class Evaluation:
    """What evaluation.json holds.

    Attributes:
        mae: the reconstruction error as the paper defines it, [0, 1].
        reconstruction: how it came about, and the authors' variant of it.
        heat_image_correlation: of the pictures drawn with one code a clip (`measures.heat_image_correlation`).
        heat_image_correlation_real: of the real images: the ceiling that alignment and timing leave.
        heat_image_correlation_shuffled: of real images with other heatmaps of their clip: the floor.
        z_diversity: of the pictures that different codes draw from one heatmap, 0 to 1.
        z_diversity_real: mean absolute difference of two real images of different clips, poses differing too.
        control, silhouette, distances, memory: see `full.Full`; None unless a full evaluation was asked for.
        pairs, clips: of the data.
        regression: the model takes no code: what would follow a source (control, the grid's columns) does not apply.
        clips_trained_on: of those clips, how many the run was trained on; None where an earlier lrt did not note it.
        synthetic: a twin made the data.
        seed: of every draw.
        pictures: name -> file.
    """

    mae: float
    reconstruction: Reconstruction
    heat_image_correlation: float
    heat_image_correlation_real: float
    heat_image_correlation_shuffled: float
    z_diversity: float
    z_diversity_real: float
    control: Control | None
    silhouette: Silhouette | None
    distances: Distances | None
    memory: Memory | None
    pairs: int
    clips: int
    regression: bool
    clips_trained_on: int | None
    synthetic: bool
    seed: int
    pictures: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        """Plain values; pictures by file name."""
        return {
            "software": f"lrt {__version__}",
            **asdict(self),
            "distances": None if self.distances is None else self.distances.to_json(),
            "pictures": {name: path.name for name, path in self.pictures.items()},
        }


def evaluate(
    run: Path,
    pairs: PairSet,
    out: Path | None = None,
    *,
    runs: int = 10,
    seed: int = 0,
    device: str = "auto",
    full: FullConfig | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate a finished run; write evaluation.json, frames.csv (the first run's errors), grid, curves, worst .png.

    Args:
        run: the run folder.
        pairs: of the split to evaluate on.
        out: where to write; the run folder when left out.
        runs: sources drawn per clip for the reconstruction error; 10 in the paper.
        seed: the same seed, run and data give the same figures.
        full: measure the costly half too.
        on_progress: called with the parts done and in all: a part is a clip redrawn, every run counting anew, or one
            of a full evaluation's.

    Raises:
        RunError: the run is not finished, the pairs are of another size or none, or `out` cannot be made.
        FeatureError: a full evaluation without weights for the features.
    """
    if len(pairs) == 0:
        raise RunError("there are no pairs to evaluate on; name a split that has clips")
    if runs < 1:
        raise RunError(f"{runs} runs measure nothing; give --runs 1 or more")
    painter = Painter(run, pick_device(device))
    features = None if full is None else load_features(full.inception_weights, painter.device)  # fails early
    out = run if out is None else out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write into {out}: {error.strerror}; give another --out") from error

    def redraw(source: int, frames: np.ndarray) -> np.ndarray:
        return painter.draw(painter.code(pairs.images[source : source + 1]), pairs.heatmaps[frames])

    clips = len(np.unique(pairs.clip))
    parts = runs * clips + (0 if full is None else PARTS)

    def tell(before: int) -> Callable[[int, int], None]:
        """Progress within one measure, as progress of all."""
        return lambda done, _: on_progress(before + done, parts) if on_progress is not None else None

    reconstruction, curves = reconstruct(pairs, redraw, runs, seed, tell(0))
    costly = Full()
    if full is not None and features is not None:
        costly = measure_full(run, painter, pairs, full, features, seed, tell(runs * clips))
    drawn, real, shuffled = _correlations(pairs, curves, redraw, seed)
    rng = np.random.default_rng(seed)
    of_codes, of_real = _diversity(painter, pairs, rng)
    pictures = {name: out / f"{name}.png" for name in ("grid", "curves", "worst")}
    write_png(
        pictures["grid"], draw_grid(painter, pairs, rng), "lrt grid; every picture outside the top row is synthetic"
    )
    page = stack([_curve_page(pairs, curve, redraw) for curve in _telling(curves)])
    write_png(pictures["curves"], page, "lrt reconstruction; the rows 'drawn' are synthetic: a network drew them")
    write_png(
        pictures["worst"],
        _worst_page(pairs, curves, redraw),
        "lrt worst frames; the row 'drawn' is synthetic: a network drew it",
    )
    known = painter.run.record.clip_sha256
    evaluation = Evaluation(
        reconstruction.mae,
        reconstruction,
        drawn,
        real,
        shuffled,
        of_codes,
        of_real,
        costly.control,
        costly.silhouette,
        costly.distances,
        costly.memory,
        len(pairs),
        clips,
        painter.config.regression,
        len(find_trained(known, pairs)) if known else None,
        pairs.synthetic,
        seed,
        pictures,
    )
    write_whole(out / "frames.csv", frames_table(pairs, curves).encode())
    write_whole(out / "evaluation.json", json.dumps(evaluation.to_json(), indent=2).encode())
    return evaluation


def draw_grid(painter: Painter, pairs: PairSet, rng: np.random.Generator) -> np.ndarray:
    """Fig. 7: k source images across the top, n heatmaps down the side, and what each two make.

    Light and clothing should follow the column, position and pose the row.

    Returns:
        (rows, columns, 3) uint8, RGB.
    """
    sources = of_different_clips(pairs, GRID_SOURCES, rng)
    empty = np.flatnonzero(pairs.occupants == 0)
    if len(empty) and not np.isin(sources, empty).any():
        sources[-1] = rng.choice(empty)  # a room without anyone gives a code too
    heats = of_different_clips(pairs, GRID_HEATMAPS, rng)
    codes = painter.code(pairs.images[sources])
    blank = np.full_like(pairs.images[0], 255)
    rows = [("sources", np.stack([blank, *pairs.images[sources]]))]
    painted = paint_heat(normalise_heatmap(pairs.heatmaps[heats]), pairs.images.shape[1:3])
    for number, frame in enumerate(heats):
        drawn = painter.picture(codes, np.repeat(pairs.heatmaps[frame : frame + 1], len(codes), axis=0))
        rows.append((f"heatmap {number + 1}", np.stack([painted[number], *drawn])))
    return sheet(rows)


def _correlations(
    pairs: PairSet, curves: list[ClipCurve], redraw: Callable[[int, np.ndarray], np.ndarray], seed: int
) -> tuple[float, float, float]:
    """Of drawn pictures, of the real ones, and of real ones with shuffled heat."""
    step = -(-sum(len(curve.frames) for curve in curves) // MEASURED)
    chosen = [curve.frames[::step] for curve in curves]
    drawn = np.concatenate(
        [redraw(int(curve.frames[curve.source]), frames) for curve, frames in zip(curves, chosen, strict=True)]
    )
    frames = np.concatenate(chosen)
    real, heat, clip = pairs.images[frames].astype(np.float32) / 255, pairs.heatmaps[frames], pairs.clip[frames]
    return (
        heat_image_correlation(drawn, heat, clip),
        heat_image_correlation(real, heat, clip),
        heat_image_correlation(real, heat[shuffle_within(clip, seed)], clip),
    )


def _diversity(painter: Painter, pairs: PairSet, rng: np.random.Generator) -> tuple[float, float]:
    """Of eight codes on eight heatmaps, and of real images."""
    heat = pairs.heatmaps[of_different_clips(pairs, 8, rng)]
    drawn = np.stack([painter.draw(z[None], heat) for z in painter.noise(8, int(rng.integers(2**31)))])
    real = pairs.images[of_different_clips(pairs, 16, rng)].astype(np.float32) / 255
    return diversity(drawn), diversity(real[:, None])


def _telling(curves: list[ClipCurve]) -> list[ClipCurve]:
    """The clips of least, middle and greatest error."""
    ordered = sorted(curves, key=lambda curve: float(curve.errors.mean()))
    chosen = np.unique(np.linspace(0, len(ordered) - 1, CURVES).round().astype(int))
    return [ordered[k] for k in chosen]


def _worst_page(pairs: PairSet, curves: list[ClipCurve], redraw: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """Of each clip the frame of greatest error, the worst of them."""
    worst = sorted(curves, key=lambda curve: float(curve.errors.max()), reverse=True)[:STRIP]
    frames = np.array([curve.frames[int(curve.errors.argmax())] for curve in worst])
    sources = [int(curve.frames[curve.source]) for curve in worst]
    drawn = np.concatenate([redraw(source, frames[k : k + 1]) for k, source in enumerate(sources)])
    heat = paint_heat(normalise_heatmap(pairs.heatmaps[frames]), pairs.images.shape[1:3])
    rows = [("source", pairs.images[sources]), ("heatmap", heat), ("real", pairs.images[frames])]
    return sheet([*rows, ("drawn", np.rint(drawn * 255).astype(np.uint8))])


def _curve_page(pairs: PairSet, curve: ClipCurve, redraw: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """One clip of Fig. 8: the error of every frame, the source marked, and frames above one another."""
    positions = np.unique(np.linspace(0, len(curve.frames) - 1, STRIP).round().astype(int))
    shown = curve.frames[positions]
    source = int(curve.frames[curve.source])
    drawn = np.rint(redraw(source, shown) * 255).astype(np.uint8)
    heat = paint_heat(normalise_heatmap(pairs.heatmaps[shown]), pairs.images.shape[1:3])
    strip = sheet([("heatmap", heat), ("real", pairs.images[shown]), ("drawn", drawn)])
    title = f"{curve.clip_id}: mean absolute error {curve.errors.mean():.4f}; the source is frame {pairs.frame[source]}"
    return stack([draw_curve(curve.errors, curve.source, title, strip.shape[1]), strip])
