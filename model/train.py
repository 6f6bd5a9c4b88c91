"""Training: the GAN phase, then the inversion phase, in one loop that can be stopped and resumed anywhere."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import LrtError
from ..dataset.batches import Batches
from ..dataset.loading import PairSet
from .card import notes_on, write_card
from .config import TrainConfig
from .device import cpu_threads, pick_device
from .heldout import HeldOut
from .networks import build_networks
from .phases import GanPhase, InversionPhase, Phase
from .run import PHASES, Run, RunError, RunRecord
from .samples import SampleSheet


class TrainError(LrtError, RuntimeError):
    """Training cannot begin on this data, or its losses are no numbers any more."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        phase: `gan` or `inversion`.
        step, steps: done and to do in this phase.
        metrics: the last logged means, empty before the first.
        seconds_left: to the end of both phases, at the pace of this sitting: a step of I counts like one of G.
    """

    phase: str
    step: int
    steps: int
    metrics: dict[str, float]
    seconds_left: float


@dataclass(frozen=True)
class RunSummary:
    """What a training came to.

    Attributes:
        run: the folder.
        finished: False when it was stopped; `resume` goes on.
        gan_steps, inversion_steps: done so far, earlier sittings included.
        seconds: of this sitting.
        metrics: phase -> its last logged means.
        best_step: the inversion step whose average had the least error on held-out pairs; None without any.
        notes: what somebody who uses the run should know, a sentence each.
    """

    run: Path
    finished: bool
    gan_steps: int
    inversion_steps: int
    seconds: float
    metrics: dict[str, dict[str, float]]
    best_step: int | None
    notes: tuple[str, ...]


def train(
    pairs: PairSet,
    out: Path,
    config: TrainConfig,
    resume: bool = False,
    *,
    held_out: PairSet | None = None,
    calibration: dict[str, Any] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    device: str = "auto",
) -> RunSummary:
    """Train a model on the pairs, into a run folder.

    `stop` ends it after the step at hand with a checkpoint; a resumed run then takes the very steps that the
    uninterrupted one would have taken.

    Args:
        pairs: the training split; images 8 times the heatmaps' rows and columns, as `config.model` says.
        out: the run folder; made when it is not there.
        resume: go on with the run in `out`.
        held_out: pairs that are never trained on: the inversion encoder's error on them chooses the best step.
        calibration: kept in config.json.
        on_progress: called after every step.
        device: `auto`, or torch's name of one.

    Raises:
        RunError: `out` holds a run and `resume` is False, or none or another one and it is True.
        ConfigError: fewer pairs than a batch.
        DeviceError: torch has no such device here.
        TrainError: pairs of another size than the model's or with heat that is no number; or a loss or a weight
            that is none any more, or that diverged (the last good checkpoint stays).
    """
    began = time.monotonic()
    for each in (pairs, held_out):
        if each is not None:
            check_pairs(each, config)
    place = pick_device(device)
    steps: dict[str, int] = dict(zip(PHASES, config.steps(len(pairs)), strict=True))
    record = RunRecord.of(config, pairs, calibration)
    run = Run.resume(out, record) if resume else Run.create(out, record)
    saved = run.load_checkpoint() if resume else None
    if resume and saved is None:
        run.forget_metrics_after("gan", 0)
    notes = notes_on(run.record, record, held_out)

    networks = build_networks(config.model, config.seed)
    for network in (networks.generator, networks.discriminator, networks.inversion):
        network.to(place).to(memory_format=torch.channels_last)
    stop = stop or threading.Event()
    judge = None if held_out is None else HeldOut(held_out, place)
    loop = _Loop(run, pairs.on(place), SampleSheet(pairs, config, place), judge, on_progress, stop, sum(steps.values()))

    def summary(finished: bool, gan_steps: int, inversion_steps: int) -> RunSummary:
        best_step = None if loop.best is None else loop.best["step"]
        seconds = time.monotonic() - began
        summary = RunSummary(out, finished, gan_steps, inversion_steps, seconds, loop.last, best_step, notes)
        run.write("README.md", write_card(run.record, summary, steps, networks, held_out).encode())
        return summary

    if saved is None:
        summary(False, 0, 0)  # a card from the first second
    with cpu_threads(config.cpu_threads):
        if saved is None or saved["phase"] == "gan":
            gan = GanPhase(networks, config)
            done = loop.go_through(gan, steps["gan"], saved)
            saved = None
            if done < steps["gan"]:
                return summary(False, done, 0)
            run.save_weights("generator-last", gan.G)
            run.save_weights("discriminator-last", gan.D)
            networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
            run.save_weights("generator", networks.generator)
            run.save_weights("discriminator", networks.discriminator)
        else:
            loop.taken += steps["gan"]
        inversion = InversionPhase(networks, config)
        done = loop.go_through(inversion, steps["inversion"], saved)
        finished = done == steps["inversion"]
        if finished:
            run.save_weights("inversion-last", inversion.I)
            run.save_weights("inversion", inversion.I_ema.network)
    return summary(finished, steps["gan"], done)


class _Loop:
    """The loop and what it carries through both phases: the data, the noise, the run folder.

    Attributes:
        last: phase -> its last logged means.
        best: `step` and `error` of the least error on held-out pairs so far; None before the first.
        taken: steps behind us, of both phases.
    """

    def __init__(
        self,
        run: Run,
        batches: Batches,
        sheet: SampleSheet,
        judge: HeldOut | None,
        on_progress: Callable[[Progress], None] | None,
        stop: threading.Event,
        steps: int,
    ) -> None:
        self.run, self.batches, self.sheet, self.judge = run, batches, sheet, judge
        self.on_progress, self.stop, self.steps = on_progress, stop, steps
        self.config = run.record.config
        self.noise = torch.Generator().manual_seed(self.config.seed)
        self.last: dict[str, dict[str, float]] = {}
        self.best: dict[str, Any] | None = None
        self.taken = self.taken_here = 0
        self.stepping_s = 0.0

    def go_through(self, phase: Phase, steps: int, saved: dict[str, Any] | None) -> int:
        """Train one phase from its start or from a checkpoint; the step it came to."""
        config = self.config
        step = 0
        sums, counted = torch.zeros(len(phase.metrics), device=self.batches.images.device), 0
        if saved is not None:
            step, counted = self._restore(phase, saved, sums)
        an_epoch = len(self.batches) // config.batch
        order = self._order(phase, step // an_epoch)
        images = None
        checkpointed = time.monotonic()

        while step < steps and not self.stop.is_set():
            began = time.monotonic()
            epoch, place = divmod(step, an_epoch)
            if place == 0:
                order = self._order(phase, epoch)
            chosen = order[place * config.batch : (place + 1) * config.batch]
            images, heatmaps = self.batches.take(chosen, out=images)
            sums += phase.step(images, heatmaps, self.noise)
            step, counted = step + 1, counted + 1

            if step % config.sample_every == 0 or step == steps:
                name = f"samples/{phase.name}-{step:06d}.png"
                with self.run.writing(name):
                    self.sheet.write(phase, self.run.path / name)
            if step % config.log_every == 0 or step == steps:
                self._log(phase, step, sums / counted)
                sums, counted = torch.zeros_like(sums), 0
                if time.monotonic() - checkpointed > config.checkpoint_every_s and step < steps:
                    self._checkpoint(phase, step, sums, counted)
                    checkpointed = time.monotonic()
            self._count(time.monotonic() - began)
            if self.on_progress is not None:
                left = (self.steps - self.taken) * self.stepping_s / self.taken_here
                self.on_progress(Progress(phase.name, step, steps, self.last.get(phase.name, {}), left))

        if counted:
            self._check(phase, step, sums / counted)
        self._checkpoint(phase, step, sums, counted)
        return step

    def _restore(self, phase: Phase, saved: dict[str, Any], sums: torch.Tensor) -> tuple[int, int]:
        """Go on from a checkpoint: the step it stands at, and how many steps are in `sums`, which is filled."""
        try:
            phase.load_state(saved["state"])
            self.noise.set_state(saved["noise"])
            sums += saved.get("sums", torch.zeros(len(sums))).to(sums.device)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise RunError(
                f"{self.run.path / 'checkpoint.pt'} is of other networks than {self.config.model.name} as this run's "
                "config.json has it; put the run's own back, or delete it to begin the run again"
            ) from error
        self.run.forget_metrics_after(phase.name, saved["step"])
        self.last = {line["phase"]: line["metrics"] for line in self.run.metrics()}
        self.best = saved.get("best")
        self.taken += saved["step"]
        return saved["step"], saved.get("counted", 0)

    def _count(self, seconds: float) -> None:
        self.taken, self.taken_here, self.stepping_s = self.taken + 1, self.taken_here + 1, self.stepping_s + seconds

    def _order(self, phase: Phase, epoch: int) -> torch.Tensor:
        return self.batches.order(self.config.seed, phase.name == "inversion", epoch)

    def _log(self, phase: Phase, step: int, means: torch.Tensor) -> None:
        metrics = self._check(phase, step, means)
        if self.judge is not None and isinstance(phase, InversionPhase):
            error = self.judge.error(phase)
            metrics["held_out_reconstruction"] = error
            if self.best is None or error < self.best["error"]:
                self.best = {"step": step, "error": error}
                about = {"step": str(step), "held_out_reconstruction": str(error)}
                self.run.save_weights("inversion-best", phase.I_ema.network, **about)
        self.last[phase.name] = metrics
        self.run.log({"phase": phase.name, "step": step, "metrics": metrics})

    def _check(self, phase: Phase, step: int, means: torch.Tensor) -> dict[str, float]:
        """The means by name, all of them numbers of a size that training gives."""
        metrics = dict(zip(phase.metrics, means.tolist(), strict=True))
        for name, value in metrics.items():
            if not abs(value) <= self.config.loss_limit:  # NaN is not
                raise self._diverged(f"{name} is {value:.5g}", phase, step)
        return metrics

    def _diverged(self, what: str, phase: Phase, step: int) -> TrainError:
        last = "no checkpoint was written yet"
        if (saved := self.run.load_checkpoint()) is not None:
            last = f"the checkpoint of {saved['phase']} step {saved['step']} stands"
        return TrainError(f"{what} at step {step} of the {phase.name} phase; {last}; lower the learning rates")

    def _checkpoint(self, phase: Phase, step: int, sums: torch.Tensor, counted: int) -> None:
        state = phase.state()
        if (name := _not_finite(state)) is not None:  # the losses were numbers before this step's update
            raise self._diverged(f"{name} is no number any more", phase, step)
        self.run.save_checkpoint(
            {
                "phase": phase.name,
                "step": step,
                "state": state,
                "noise": self.noise.get_state(),
                "sums": sums.cpu(),
                "counted": counted,
                "best": self.best,
            }
        )


def _not_finite(state: Any, name: str = "") -> str | None:
    """The name of the first tensor in nested dictionaries that holds NaN or an infinity."""
    if isinstance(state, torch.Tensor):
        return None if torch.isfinite(state).all() else name
    if isinstance(state, dict):
        found = (_not_finite(value, f"{name}.{key}" if name else str(key)) for key, value in state.items())
        return next((each for each in found if each is not None), None)
    return None


def check_pairs(pairs: PairSet, config: TrainConfig) -> None:
    """Say no to pairs that the model cannot be trained on.

    Raises:
        TrainError: there are none, they are of another size than the model's, or their heat holds NaN or an infinity.
    """
    if len(pairs) == 0:
        raise TrainError("the dataset has no pairs; build it from at least one clip")
    heat, image = config.model.heatmap_shape, config.model.image_shape
    if pairs.heatmaps.shape[1:] != heat or pairs.images.shape[1:3] != image:
        raise TrainError(
            f"the dataset has heatmaps {pairs.heatmaps.shape[1:]} and images {pairs.images.shape[1:3]}, "
            f"the model takes {heat} and {image}; an image is 8 times its heatmap"
        )
    finite = np.isfinite(pairs.heatmaps).all(axis=(1, 2))
    if not finite.all():
        first = int(np.argmin(finite))
        clip_id, frame = pairs.clip_ids[pairs.clip[first]], pairs.frame[first]
        raise TrainError(
            f"{int((~finite).sum())} of {len(pairs)} heatmaps hold no numbers, the first in clip {clip_id}, frame "
            f"{frame}; build the dataset again without them"
        )
