"""Exporting a run, as a command calls it: what it is fitted to and measured on, and what came of it in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .results import Result, StageError, Update, needs_torch, plain, silent

if TYPE_CHECKING:
    from ..dataset.loading import PairSet


def export(
    run: Path,
    out: Path,
    formats: Sequence[str] = ("bundle",),
    precision: str = "fp32",
    data: Path | None = None,
    on_progress: Update = silent,
) -> Result:
    """Write G and I of a finished run, without D, and say how well each form keeps the run's pictures.

    Args:
        data: a dataset: int8 is fitted to its training split, and the accuracy measured on its test split; on the
            training split where there is no other.

    Returns:
        card.json's values, `out`, and the split that was measured on, None without data.

    Raises:
        RunError, DrawingError, DatasetError: see there; `out` exists.
    """
    needs_torch()
    from ..model.export import ExportConfig
    from ..model.export import export as write

    config = ExportConfig(tuple(formats), precision)
    if out.exists():
        raise StageError(f"{out} exists already; choose another --out")
    fitted_to, measured_on, split = _load(data, precision)
    card = write(run, out, config, fitted_to, measured_on, on_progress)
    return plain({**card.to_json(), "out": out, "split": split})


def _load(data: Path | None, precision: str) -> "tuple[PairSet | None, PairSet | None, str | None]":
    """The pairs to fit to, those to measure on, and of which split these are."""
    if data is None:
        return None, None, None
    from ..dataset.info import read_info
    from ..dataset.loading import load_pairs

    split = "test" if read_info(data).named_splits["default"].get("test") else "train"
    fitted_to = load_pairs(data, "train") if precision == "int8" else None
    return fitted_to, load_pairs(data, split), split


def export_text(result: dict[str, Any]) -> str:
    """What was written, a line for each form, for a person."""
    lines = [f"{result['out']}: generator and inversion encoder, without the discriminator"]
    for form in result["forms"]:
        lines.append(
            f"  {form['format']:<9}{form['precision']:<6}{form['bytes'] / 1e6:>8.2f} MB   off the run by at most "
            f"{form['parity_max']:.1e}, {form['parity_mean']:.1e} in the mean ({form['runtime']})"
        )
        if (cost := form["accuracy"]) is not None:
            lines.append(
                f"  {'':<15}reconstruction error {cost['mae']:.4f} on {cost['pairs']} pairs of {result['split']}; "
                f"the run's {cost['mae_of_run']:.4f}"
            )
    if result["about"]["synthetic"]:
        lines.append("trained on the twin: it shows nobody")
    return "\n".join(lines)
