"""The loop of a training: batch after batch through a phase, from its start or from a checkpoint."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..dataset.batches import Batches
from .journal import Journal
from .phases import Phase
from .ranks import Ranks
from .run import RunError


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        phase: `gan` or `inversion`; of a regression `regression`.
        step, steps: done and to do in this phase.
        metrics: the last logged means, empty before the first.
        seconds_left: to the end of all phases, at the pace of this sitting: a step of I counts like one of G.
    """

    phase: str
    step: int
    steps: int
    metrics: dict[str, float]
    seconds_left: float


class Loop:
    """What is carried through all phases: the data, the noise, the count of steps.

    Args:
        batches: the pairs, the same on each rank.
        journal: where the first rank writes.
        ranks: who trains; each takes its share of every batch.
        on_progress: called after every step, on the first rank.
        stop: ends the loop on all ranks, set on any of them.
        steps: to do in all phases.

    Attributes:
        taken: steps behind us, of all phases.
    """

    def __init__(
        self,
        batches: Batches,
        journal: Journal,
        ranks: Ranks,
        on_progress: Callable[[Progress], None] | None,
        stop: threading.Event,
        steps: int,
    ) -> None:
        self.batches, self.journal, self.ranks = batches, journal, ranks
        self.on_progress, self.stop, self.steps = on_progress, stop, steps
        self.config = journal.run.record.config
        self.noise = torch.Generator().manual_seed(self.config.seed)
        self.taken = self.taken_here = 0
        self.stepping_s = 0.0

    def go_through(self, phase: Phase, steps: int, saved: dict[str, Any] | None) -> int:
        """Train one phase from its start or from a checkpoint; the step it came to."""
        config, journal, ranks = self.config, self.journal, self.ranks
        step = 0
        sums, counted = torch.zeros(len(phase.metrics), device=self.batches.images.device), 0
        if saved is not None:
            step, counted = self._restore(phase, saved, sums)
        an_epoch = len(self.batches) // config.batch
        order = self._order(phase, step // an_epoch)
        images = None

        while step < steps and not ranks.any(self.stop.is_set()):
            began = time.monotonic()
            epoch, place = divmod(step, an_epoch)
            if place == 0:
                order = self._order(phase, epoch)
            chosen = order[place * config.batch : (place + 1) * config.batch]
            images, heatmaps = self.batches.take(ranks.share(chosen), out=images)
            sums += phase.step(images, heatmaps, self.noise)
            step, counted = step + 1, counted + 1

            if step % config.sample_every == 0 or step == steps:
                ranks.by_first(journal.draw, phase, step)
            if step % config.log_every == 0 or step == steps:
                self._look(phase, step, steps, ranks.mean(sums / counted))
                sums, counted = torch.zeros_like(sums), 0
            self._count(time.monotonic() - began)
            if self.on_progress is not None and ranks.rank == 0:
                left = (self.steps - self.taken) * self.stepping_s / self.taken_here
                self.on_progress(Progress(phase.name, step, steps, journal.last.get(phase.name, {}), left))

        self._leave(phase, step, ranks.mean(sums), counted)
        return step

    def _restore(self, phase: Phase, saved: dict[str, Any], sums: torch.Tensor) -> tuple[int, int]:
        """Go on from a checkpoint: the step it stands at, and how many steps are in `sums`, which is filled."""
        try:
            phase.load_state(saved["state"])
            self.noise.set_state(saved["noise"])
            sums += saved.get("sums", torch.zeros(len(sums))).to(sums.device)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise RunError(
                f"{self.journal.run.path / 'checkpoint.pt'} is of other networks than {self.config.model.name} as this "
                "run's config.json has it; put the run's own back, or delete it to begin the run again"
            ) from error
        self.ranks.by_first(self.journal.reopen, saved)
        self.taken += saved["step"]
        return saved["step"], saved.get("counted", 0)

    def _look(self, phase: Phase, step: int, steps: int, means: torch.Tensor) -> None:
        """Write a line of the curve, and now and then a checkpoint."""

        def write() -> None:
            self.journal.log(phase, step, means)
            if step < steps and self.journal.is_due():
                self.journal.checkpoint(phase, step, self.noise, torch.zeros_like(means), 0)

        self.ranks.by_first(write)

    def _leave(self, phase: Phase, step: int, sums: torch.Tensor, counted: int) -> None:
        """The last checkpoint of a phase, or of a sitting."""

        def write() -> None:
            if counted:
                self.journal.check(phase, step, sums / counted)
            self.journal.checkpoint(phase, step, self.noise, sums, counted)

        self.ranks.by_first(write)

    def _count(self, seconds: float) -> None:
        self.taken, self.taken_here, self.stepping_s = self.taken + 1, self.taken_here + 1, self.stepping_s + seconds

    def _order(self, phase: Phase, epoch: int) -> torch.Tensor:
        return self.batches.order(self.config.seed, phase.name == "inversion", epoch)
