"""`lrt demo`: the whole way, from the twin's registers to a picture drawn from heat, and a page that shows it."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import LrtError
from ..dataset.tags import CLOTHING, LIGHTING
from . import calibrating, datasets, pictures, recording, synthesising
from .demo_page import describe, draw_hero
from .measuring import evaluate
from .page import Picture, write_page
from .progress import progress_bar
from .results import needs_torch
from .training import train

MARK = "demo.json"  # what a demo folder is known by
CONSENT = "TWIN"  # nobody was recorded
TAKES = 3  # of each shirt in each light: many short clips, so that colour does not go with place
HELD_OUT = (("red", "dim"), ("blue", "bright"))  # recorded a second time, kept from training, drawn in the end


class DemoError(LrtError, OSError):
    """The demo's folder cannot be used."""


def run_demo(out: Path, seconds: float, gan_steps: int, replace: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Go the whole way on the twin.

    Args:
        out: a new folder for clips, calibration, dataset, run, pictures and page.
        seconds: of each clip.
        gan_steps: of the training, 1 or more; 1,600 give a picture worth looking at, for some minutes.
        replace: clear `out` first, if an earlier demo made it.
        say: called with a line before each stage.

    Returns:
        pairs, pair_error_ms_p95 [ms], calibration_error_px [px of the recorded image, against the twin's truth],
        calibration_error_share [of a thermal pixel], heat_image_correlation, mae [0..1], report (the page's path) and
        seconds (of each stage), among others.

    Raises:
        DemoError: `out` is there already, and `replace` is False or it is no demo's.
    """
    needs_torch()
    _clear(out, replace)
    out.mkdir(parents=True)
    (out / MARK).write_text("{}\n")
    took: dict[str, float] = {}

    @contextmanager
    def stage(name: str, text: str) -> Iterator[None]:
        say(text)
        began = time.monotonic()
        yield
        took[name] = time.monotonic() - began

    with stage("capture", "recording the twin in five shirts and two lights"):
        wanted = [
            (f"{clothing}-{lighting}-{take}", clothing, lighting)
            for clothing in CLOTHING
            for lighting in LIGHTING
            for take in range(1, TAKES + 1)
        ]
        held_out = [(f"{clothing}-{lighting}-again", clothing, lighting) for clothing, lighting in HELD_OUT]
        recorded = _record(wanted + held_out, out / "clips", seconds)
    folders = [out / "clips" / clip_id for clip_id, _, _ in wanted + held_out]

    with stage("calibrate", "calibrating heat to picture"), progress_bar("finding people", "frames") as update:
        fit = calibrating.calibrate(folders[: len(wanted)], out / "calibration.json", masks="small", on_progress=update)
    truth = _true_geometry(folders[: len(wanted)], seconds)
    error_px = float(np.hypot(fit["tx"] - truth["tx"], fit["ty"] - truth["ty"]))

    with stage("build-dataset", "building the dataset"), progress_bar("building", "clips") as update:
        built = datasets.build_dataset(
            folders,
            out / "calibration.json",
            out / "dataset",
            test_clips=[clip_id for clip_id, _, _ in held_out],
            on_progress=update,
        )
    with stage("train", "training a small SPADE-SR"), progress_bar("training", "steps") as update:
        train(out / "dataset", out / "run", preset="smoke", gan_steps=gan_steps, on_progress=update)

    with stage("evaluate", "measuring it as the paper does"), progress_bar("evaluating", "clips") as update:
        measured = evaluate(out / "run", out / "dataset", split="test", on_progress=update)

    with stage("synthesise", "drawing from heat alone"), progress_bar("drawing", "pictures") as update:
        source = _pick_source(out)
        drawn = synthesising.synthesise(
            out / "run", folders[-1], source, out / "drawn", on_progress=update
        )  # the clip's images stay closed

    result = {
        "pairs": built["pairs"],
        "pair_error_ms_p95": built["pair_error_ms_p95"],
        "calibration_error_px": error_px,
        "calibration_error_share": error_px / truth["s"],
        "scale_error_share": abs(fit["s"] - truth["s"]) / truth["s"],
        "overlap": fit["overlap"],
        "heat_image_correlation": measured["heat_image_correlation"],
        "heat_image_correlation_real": measured["heat_image_correlation_real"],
        "heat_image_correlation_shuffled": measured["heat_image_correlation_shuffled"],
        "mae": measured["mae"],
        "report": str(out / "index.html"),
        "picture": str(draw_hero(out, folders[-1])),
        "seconds": {name: round(value, 1) for name, value in took.items()},
        "synthetic": True,
    }
    shown = describe(out, gan_steps, took, recorded, fit, truth, built, measured, drawn)
    figures = [
        ("pairs of heat and picture", f"{result['pairs']:,}"),
        ("pair error, 95 % below", f"{result['pair_error_ms_p95']:.1f} ms"),
        ("calibration error, of a thermal pixel", f"{100 * result['calibration_error_share']:.1f} %"),
        ("reconstruction error", f"{result['mae']:.3f}"),
        ("heat-image correlation", f"{result['heat_image_correlation']:.2f}"),
        ("in all", f"{sum(took.values()):.0f} s"),
    ]
    write_page(
        out / "index.html",
        "From heat to picture",
        "The whole way of lrt on one page: recorded, calibrated, built, trained, measured and drawn.",
        figures,
        shown,
        synthetic=True,
        hero=Picture(
            Path(result["picture"]),
            "From the top: 8x5 heatmaps of a clip the network never saw; what it drew from each, dressed and lit after "
            "the source picture at the bottom as far as minutes of training go; and what the camera saw.",
        ),
    )
    (out / MARK).write_text(json.dumps(result, indent=2) + "\n")
    return result


def _clear(out: Path, replace: bool) -> None:
    if not out.exists():
        return
    if not (out / MARK).is_file():
        raise DemoError(f"{out} exists and no demo made it; choose another --out")
    if not replace:
        raise DemoError(f"{out} holds an earlier demo; choose another --out, or add --replace")
    shutil.rmtree(out)


def _record(clips: Sequence[tuple[str, str, str]], out: Path, seconds: float) -> list[dict[str, Any]]:
    """Record the clips, as many at a time as there are cores."""
    workers = min(len(clips), os.cpu_count() or 1)
    with (
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
        progress_bar("recording", "clips") as update,
    ):
        jobs = [
            pool.submit(recording.capture, clip_id, clothing, lighting, CONSENT, 1, seconds, "twin", out)
            for clip_id, clothing, lighting in clips
        ]
        for done, _ in enumerate(as_completed(jobs), 1):
            update(done, len(jobs))
        return [job.result() for job in jobs]


def _true_geometry(folders: Sequence[Path], seconds: float) -> dict[str, float]:
    """The twin's true tx, ty and s, px, at the distance where people stood in the clips: two lenses see parallax."""
    from ..rig.twin.rig import mean_distance, scene_of

    scenes = [scene_of(recording.show_clip(folder)["twin"]) for folder in folders]
    geometry = np.mean([scene.true_geometry(mean_distance(scene, seconds)) for scene in scenes], axis=0)
    return dict(zip(("tx", "ty", "s"), geometry.tolist(), strict=True))


def _pick_source(out: Path) -> Path:
    """A picture of the training split to lend clothing and light: another colour than the clip's that is drawn."""
    from ..dataset.loading import load_pairs

    pairs = load_pairs(out / "dataset", "train")
    members = np.flatnonzero(pairs.clip == pairs.clip_ids.index("green-bright-1"))
    warm = pairs.heatmaps[members].max(axis=(1, 2)) - np.median(pairs.heatmaps[members], axis=(1, 2))
    source = out / "source.png"
    pictures.write_image(source, pairs.images[members[np.argmax(warm)]])  # someone is in view
    return source
