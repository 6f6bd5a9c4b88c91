"""The summary of a GPU machine's figures as text."""

from typing import Any


def write(kept: dict[str, Any]) -> str:
    """What summary.json holds, in tables."""
    about, pairs = kept["about"], kept["pairs"]
    memory = "" if about["memory_gib"] is None else f", {about['memory_gib']:g} GiB"
    lines = [
        f"{about['device']}{memory}; torch {about['torch']}, CUDA {about['cuda']}, cuDNN {about['cudnn']}",
        f"{about['machine']}",
        f"{about['model']}, preset {about['preset']}; {pairs['train']} twin pairs of {pairs['clips']} clips",
        "",
        *_speed(kept["speed"]),
        *_folds(kept["folds"]),
        *_training(kept["training"]),
    ]
    if kept.get("not_done"):
        lines.append("Not done for want of time, the next sitting goes on with it: " + ", ".join(kept["not_done"]))
    return "\n".join(lines) + "\n"


def _speed(measured: list[dict[str, Any]]) -> list[str]:
    if not measured:
        return []
    lines = [
        f"{'setting':16}{'batch':>6}{'GAN step s':>13}{'range':>18}{'inversion':>11}{'images/s':>11}{'TFLOP/s':>11}"
        f"{'peak GiB':>11}{'hours':>11} of 400 + 10 epochs"
    ]
    return [*lines, *map(speed_row, measured), *_first_losses(measured), ""]


def speed_row(each: dict[str, Any]) -> str:
    """A line of the table of steps."""
    name = f"{each['setting']:16}{each['batch']:6}"
    if "error" in each:
        return f"{name}   {each['error']}"
    fell = "" if each["ran_at"] == each["batch"] else f"   (at batch {each['ran_at']}: more does not fit)"
    spread = f"{each['gan_s_low']:.4f}-{each['gan_s_high']:.4f}"
    return (
        f"{name}{each['gan_s']:13.4f}{spread:>18}{_or(each['inversion_s'], '11.4f')}{each['images_per_s']:11.0f}"
        f"{_or(each['tflop_per_s'], '11.2f')}{_or(each['peak_gib'], '11.1f')}{each['hours']:11.2f}{fell}"
    )


def _first_losses(measured: list[dict[str, Any]]) -> list[str]:
    """How far each setting's first losses are from float32's at the same batch: it is the same step, or nearly."""
    exact = {each["ran_at"]: each["losses"] for each in measured if each["setting"] == "fp32" and "losses" in each}
    off = [
        (each["setting"], max(abs(a - b) for a, b in zip(each["losses"], exact[each["ran_at"]], strict=True)))
        for each in measured
        if each.get("ran_at") in exact and each["setting"] != "fp32"
    ]
    return (
        ["first step's losses off fp32's by at most: " + ", ".join(f"{name} {most:.1e}" for name, most in off)]
        if off
        else []
    )


def _folds(folds: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = []
    for precision, rows in folds.items():
        lines.append(f"one convolution with its resizing, forward and backward, {precision}       folded ms   plain ms")
        for row in rows:
            gain = row["plain_ms"] / row["folded_ms"]
            lines.append(f"  {row['layer']:60}{row['folded_ms']:12.3f}{row['plain_ms']:11.3f}   {gain:.2f}x")
        lines.append("")
    return lines


def _training(training: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for name, each in training.items():
        if "error" in each:
            lines.append(f"{name}: {each['error']}")
            continue
        pace = "" if each["step_s"] is None else f", {each['step_s']:.4f} s a step with logs, sheets and checkpoints"
        lines.append(
            f"{name}: {each['gan_steps']} GAN and {each['inversion_steps']} inversion steps in {each['seconds']:.0f} s"
            f"{pace}; {'finished' if each['finished'] else 'not finished'}"
        )
        for phase, losses in each["losses"].items():
            lines.append(f"  {phase}: " + ", ".join(f"{loss} {value:.4f}" for loss, value in losses.items()))
        for split, figures in each["measured"].items():
            between = f"{_or(figures['mae_low'], '.4f')} to {_or(figures['mae_high'], '.4f')}"
            lines.append(
                f"  {split}: reconstruction MAE {figures['mae']:.4f} ({between}), "
                f"of batches {figures['mae_of_batches']:.4f}, {figures['runs']} runs; "
                f"heat-image correlation {figures['correlation']:.3f} (real {figures['correlation_real']:.3f})"
            )
    return [*lines, ""] if lines else []


def _or(value: float | None, form: str) -> str:
    width = int(form.split(".")[0] or 0)
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"
