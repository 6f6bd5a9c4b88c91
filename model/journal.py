"""What is written down of a training as it goes on: its curve, sample sheets, checkpoints, the best step.

Of several ranks the first alone writes; the others hold a journal and never open it.
"""

import time
from typing import Any

import torch

from .. import LrtError
from .heldout import HeldOut
from .phases import InversionPhase, Phase
from .run import Run
from .samples import SampleSheet


class TrainError(LrtError, RuntimeError):
    """Training cannot begin on this data, or its losses are no numbers any more."""


class Journal:
    """Writes into the run folder, and refuses what is no number.

    Args:
        run: the folder.
        sheet: draws the samples.
        judge: the error on held-out pairs, where there are any.

    Attributes:
        last: phase -> its last logged means.
        best: `step` and `error` of the least error on held-out pairs so far; None before the first.
    """

    def __init__(self, run: Run, sheet: SampleSheet, judge: HeldOut | None) -> None:
        self.run, self.sheet, self.judge = run, sheet, judge
        self.config = run.record.config
        self.last: dict[str, dict[str, float]] = {}
        self.best: dict[str, Any] | None = None
        self.checkpointed = time.monotonic()

    def reopen(self, saved: dict[str, Any]) -> None:
        """Go on where a checkpoint stands: lines after it are written again."""
        self.run.forget_metrics_after(saved["phase"], saved["step"])
        self.last = {line["phase"]: line["metrics"] for line in self.run.metrics()}
        self.best = saved.get("best")

    def draw(self, phase: Phase, step: int) -> None:
        """Write the sample sheet of a step."""
        name = f"samples/{phase.name}-{step:06d}.png"
        with self.run.writing(name):
            self.sheet.write(phase, self.run.path / name)

    def log(self, phase: Phase, step: int, means: torch.Tensor) -> None:
        """Write a line of the curve, and keep the weights where they are the best so far."""
        metrics = self.check(phase, step, means)
        if self.judge is not None and isinstance(phase, InversionPhase):
            error = self.judge.error(phase)
            metrics["held_out_reconstruction"] = error
            if self.best is None or error < self.best["error"]:
                self.best = {"step": step, "error": error}
                about = {"step": str(step), "held_out_reconstruction": str(error)}
                self.run.save_weights("inversion-best", phase.I_ema.network, **about)
        self.last[phase.name] = metrics
        self.run.log({"phase": phase.name, "step": step, "metrics": metrics})

    def check(self, phase: Phase, step: int, means: torch.Tensor) -> dict[str, float]:
        """The means by name, all of them numbers of a size that training gives.

        Raises:
            TrainError: one is not.
        """
        metrics = dict(zip(phase.metrics, means.tolist(), strict=True))
        for name, value in metrics.items():
            if not abs(value) <= self.config.loss_limit:  # NaN is not
                raise self._diverged(f"{name} is {value:.5g}", phase, step)
        return metrics

    def is_due(self) -> bool:
        """Whether a checkpoint is old enough for another."""
        return time.monotonic() - self.checkpointed > self.config.checkpoint_every_s

    def checkpoint(self, phase: Phase, step: int, noise: torch.Generator, sums: torch.Tensor, counted: int) -> None:
        """Write all that the next step depends on.

        Args:
            noise: what codes are drawn from.
            sums, counted: of the metrics since the last line of the curve, and of how many steps.

        Raises:
            TrainError: a weight or a moment is no number; the checkpoint before stands.
        """
        state = phase.state()
        if (name := _not_finite(state)) is not None:  # the losses were numbers before this step's update
            raise self._diverged(f"{name} is no number any more", phase, step)
        self.run.save_checkpoint(
            {
                "phase": phase.name,
                "step": step,
                "state": state,
                "noise": noise.get_state(),
                "sums": sums.cpu(),
                "counted": counted,
                "best": self.best,
            }
        )
        self.checkpointed = time.monotonic()

    def _diverged(self, what: str, phase: Phase, step: int) -> TrainError:
        last = "no checkpoint was written yet"
        if (saved := self.run.load_checkpoint()) is not None:
            last = f"the checkpoint of {saved['phase']} step {saved['step']} stands"
        return TrainError(f"{what} at step {step} of the {phase.name} phase; {last}; lower the learning rates")


def _not_finite(state: Any, name: str = "") -> str | None:
    """The name of the first tensor in nested dictionaries that holds NaN or an infinity."""
    if isinstance(state, torch.Tensor):
        return None if torch.isfinite(state).all() else name
    if isinstance(state, dict):
        found = (_not_finite(value, f"{name}.{key}" if name else str(key)) for key, value in state.items())
        return next((each for each in found if each is not None), None)
    return None
