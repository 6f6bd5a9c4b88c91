"""Measuring a run, as a command calls it: on one split, or on what it saw beside what it never did."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import write_whole
from ..dataset.splits import DEFAULT_NAME, Sides, choose_sides
from .evaluation_page import write_evaluation_page, write_sides_page
from .results import Result, StageError, Update, needs_torch, plain, silent

if TYPE_CHECKING:
    from ..model.full import FullConfig


def evaluate(
    run: Path,
    data: Path,
    split: str | None = None,
    named: str | None = None,
    runs: int = 10,
    out: Path | None = None,
    full: bool = False,
    pictures: int = 1000,
    inception_weights: Path | None = None,
    masks: str = "small",
    mask_weights: Path | None = None,
    seed: int = 0,
    on_progress: Update = silent,
) -> Result:
    """Measure a run as the paper does, and write evaluation.json, pictures and a page.

    Args:
        split: the clips to measure on, of the default way of splitting; `train` when left out, as in the paper, unless
            the run, or `named`, has another way: then both its sides are measured.
        named: a way of splitting whose unseen side the run was not trained on; the run's own when left out.
        full: measure the costly half too; weights of Inception ask for that by themselves.
        inception_weights: a file, or the word `download`.
        masks, mask_weights: who marks people, as in `calibration.masks.open_masks`.

    Returns:
        An evaluation's values; of two sides `named`, `seen`, `unseen`, each an evaluation's, and `mae_gap`.

    Raises:
        RunError, DatasetError, FeatureError, MaskError: see there; both a split and a way of splitting.
    """
    needs_torch()
    from ..dataset.info import read_info
    from ..model.run import Run

    if split is not None and named is not None:
        raise StageError("--split names clips of the default way of splitting, --named another way; give one of them")
    if Path(masks).is_dir():
        raise StageError(
            f"--masks {masks} is a folder: drawn pictures have no masks yet; give small, maskrcnn or selfie"
        )
    own = Run.open(run).record.named
    out = out or run / "evaluation"
    full = full or inception_weights is not None
    chosen = named or (own if split is None else DEFAULT_NAME)
    info = read_info(data)
    config = None
    if full:
        trained_on = choose_sides(info.named_splits, own) if own in info.named_splits else None
        config = _choose_full(run, data, trained_on, pictures, inception_weights, masks, mask_weights)
    if chosen != DEFAULT_NAME:
        sides = choose_sides(info.named_splits, chosen)
        return _evaluate_unseen(run, data, chosen, sides, out, runs, seed, config, on_progress)
    return _evaluate_split(run, data, split or "train", out, runs, seed, config, on_progress)


def _evaluate_split(
    run: Path,
    data: Path,
    split: str,
    out: Path,
    runs: int,
    seed: int,
    config: "FullConfig | None",
    on_progress: Update,
) -> Result:
    from ..dataset.loading import load_pairs
    from ..model.evaluate import evaluate as evaluate_run

    pairs = load_pairs(data, split)
    if config is not None:
        saw = bool(set(config.training.clip_ids) & set(pairs.clip_ids))
        config = replace(config, judge_saw_these_clips=saw)
    measured = evaluate_run(run, pairs, runs=runs, out=out, full=config, seed=seed, on_progress=on_progress)
    return _with_page(_tell(measured, out, split), run)


def _evaluate_unseen(
    run: Path,
    data: Path,
    named: str,
    sides: Sides,
    out: Path,
    runs: int,
    seed: int,
    config: "FullConfig | None",
    on_progress: Update,
) -> Result:
    from ..dataset.loading import load_clips
    from ..model.unseen import evaluate_unseen

    measured = evaluate_unseen(
        run,
        named,
        load_clips(data, sides.trained),
        load_clips(data, sides.seen) if sides.seen else None,
        load_clips(data, sides.unseen),
        out,
        runs=runs,
        seed=seed,
        full=config,
        on_progress=on_progress,
    )
    seen = _tell(measured.seen, out / "seen", "train" if measured.seen_was_trained_on else "seen")
    unseen = _tell(measured.unseen, out / "unseen", "unseen")
    both = {"seen": _with_page(seen, run), "unseen": _with_page(unseen, run)}
    page = out / "index.html"
    result = plain({**measured.to_json(), **both, "out": out, "page": page})
    write_whole(out / "unseen.json", (json.dumps(result, indent=2) + "\n").encode())
    write_sides_page(page, result, _describe(run))
    return result


def _tell(measured: Any, out: Path, split: str) -> Result:
    """An evaluation's values, its pictures by their paths."""
    drawn = {name: str(path) for name, path in measured.pictures.items()}
    return plain({**measured.to_json(), "pictures": drawn, "split": split, "out": str(out)})


def _with_page(result: Result, run: Path) -> Result:
    """The same, its page written and named."""
    page = Path(result["out"]) / "index.html"
    write_evaluation_page(page, result, _describe(run))
    return {**result, "page": str(page)}


def _describe(run: Path) -> str:
    """A run in a line."""
    from ..model.run import Run

    record = Run.open(run).record
    way = "" if record.named == DEFAULT_NAME else f", trained with {record.named}"
    return f"{run.resolve().name}: {record.config.model.name}, preset {record.config.preset}{way}"


def _choose_full(
    run: Path,
    data: Path,
    sides: Sides | None,
    pictures: int,
    inception_weights: Path | None,
    masks: str,
    mask_weights: Path | None,
) -> "FullConfig":
    """What the costly half needs, opened before anything is measured: what is wrong with it shows at once.

    Args:
        sides: of the way of splitting that the run was trained on; None where this dataset has none of that name.
    """
    from ..calibration.masks import open_masks
    from ..dataset.loading import load_clips, load_pairs
    from ..model.features import DOWNLOAD
    from ..model.full import FullConfig
    from ..model.unseen import is_data_of

    training = load_pairs(data, "train")
    trained = held_out = None
    if sides is not None and sides.seen:
        trained = load_clips(data, sides.trained)
        held_out = load_clips(data, sides.seen) if is_data_of(run, trained) else None
    return FullConfig(
        training,
        judge_saw_these_clips=False,
        pictures=pictures,
        inception_weights=DOWNLOAD if str(inception_weights) == DOWNLOAD else inception_weights,
        masks=open_masks(masks, mask_weights),
        trained=trained,
        held_out=held_out,
    )
