"""What `lrt evaluate` says to a person."""

from collections.abc import Iterator
from typing import Any

NAME = 44  # characters before the figures


def evaluation_text(result: dict[str, Any]) -> str:
    """The figures of an evaluation as lines, each between what real pictures give and what chance gives.

    Args:
        result: as `stages.evaluate` returned it.
    """
    return "\n".join(
        [*_reconstruction(result), *_control(result["control"]), *_distances(result["distances"]), result["out"]]
    )


def _reconstruction(result: dict[str, Any]) -> Iterator[str]:
    found = result["reconstruction"]
    yield (
        f"reconstruction error {result['mae']:.4f}{_within(found['mae_low'], found['mae_high'], 4)} "
        f"on {result['clips']} {result['split']} clips"
    )
    yield _line("by batches of 128, as the published 0.0272", f"{found['mae_of_batches']:.4f}")
    yield _line("by frames, which corrects that", f"{found['mae_of_frames']:.4f}")
    yield _line("rank of the source frame, 0 best, 1 worst", f"{found['source_rank']:.2f}")
    if untrimmed := len(found["untrimmed_clips"]):
        yield f"  {untrimmed} clips of fewer than 150 frames used whole; the published figure leaves out 50 at each end"
    yield (
        f"heat-image correlation {result['heat_image_correlation']:.2f}, "
        f"real {result['heat_image_correlation_real']:.2f}, shuffled {result['heat_image_correlation_shuffled']:.2f}"
    )


def _control(control: dict[str, Any] | None) -> Iterator[str]:
    if control is None:
        return
    saw = ", which learned from these very clips" if control["judge_saw_these_clips"] else ""
    yield (
        f"{control['sources']} sources, {control['heatmaps']} heatmaps of other clips, {control['pictures']} pictures, "
        f"read by a small network{saw}"
    )
    yield _line("warmth off the heatmap's, degC", _bounded(control["warmth_error_c"]))
    yield _line("clothing of the source", _bounded(control["clothing_accuracy"]))
    yield _line("light of the source", _bounded(control["lighting_accuracy"]))
    yield _line("heat found in the code, R2, 0 best", _bounded(control["code_heat_r2"]))
    yield _line("warmth that moves with the source, degC", f"{control['warmth_spread_c']:.2f}")
    if empty := control["empty"]:
        light = "" if empty["lighting_accuracy"] is None else f", light of the source {empty['lighting_accuracy']:.2f}"
        yield _line(f"from {empty['sources']} empty rooms", f"warmth off {empty['warmth_error_c']:.2f} degC{light}")


def _distances(distances: dict[str, Any] | None) -> Iterator[str]:
    if distances is None:
        return
    yield f"{distances['pictures']} drawn and {distances['pictures']} real pictures, {distances['features']}"
    pair = ("fid", "kid") if "fid" in distances else ("frechet_distance", "kernel_distance")
    for name, digits in zip((*pair, "precision", "recall"), (2, 4, 2, 2), strict=True):
        one, best = distances[name], distances.get(f"{name}_of_real")
        shown = name.upper() if name in ("fid", "kid") else name.replace("_", " ").capitalize()
        ceiling = "" if best is None else f", real from real {best:.{digits}f}"
        yield _line(shown, f"{one['value']:.{digits}f}{_within(one['low'], one['high'], digits)}{ceiling}")
    if distances["fewer_than_features"]:
        yield "  fewer pictures than features: of the two distances trust the kernel's, or raise --pictures"


def _line(name: str, figure: str) -> str:
    return f"  {name:<{NAME}}{figure}"


def _within(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f" [{low:.{digits}f} .. {high:.{digits}f}]"


def _bounded(one: dict[str, Any] | None) -> str:
    if one is None:
        return "no labels, or no other clips, to tell by"
    figure = f"{one['value']:.2f}{_within(one['low'], one['high'], 2)}"
    return f"{figure}, real {one['real']:.2f}, shuffled {one['shuffled']:.2f}"
