"""Training: the GAN phase, then the inversion phase, in one loop that can be stopped and resumed anywhere."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import LrtError
from ..dataset.batches import Batches
from ..dataset.loading import PairSet
from .config import TrainConfig
from .device import cpu_threads, pick_device
from .networks import build_networks
from .phases import GanPhase, InversionPhase, Phase
from .run import Run, RunRecord
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
    """

    phase: str
    step: int
    steps: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class RunSummary:
    """What a training came to.

    Attributes:
        run: the folder.
        finished: False when it was stopped; `resume` goes on.
        gan_steps, inversion_steps: done so far, earlier sittings included.
        seconds: of this sitting.
        metrics: phase -> its last logged means.
    """

    run: Path
    finished: bool
    gan_steps: int
    inversion_steps: int
    seconds: float
    metrics: dict[str, dict[str, float]]


def train(
    pairs: PairSet,
    out: Path,
    config: TrainConfig,
    resume: bool = False,
    *,
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
        calibration: kept in config.json.
        on_progress: called after every step.
        device: `auto`, or torch's name of one.

    Raises:
        RunError: `out` holds a run and `resume` is False, or none or another one and it is True.
        ConfigError: fewer pairs than a batch.
        DeviceError: torch has no such device here.
        TrainError: pairs of another size than the model's, or losses that are no numbers (the checkpoint stays).
    """
    began = time.monotonic()
    _check_shapes(pairs, config)
    place = pick_device(device)
    steps = dict(zip(("gan", "inversion"), config.steps(len(pairs)), strict=True))
    record = RunRecord.of(config, pairs, calibration)
    run = Run.resume(out, record) if resume else Run.create(out, record)
    saved = run.load_checkpoint() if resume else None
    if resume:
        run.forget_metrics_after(*(("gan", 0) if saved is None else (saved["phase"], saved["step"])))

    networks = build_networks(config.model, config.seed)
    for network in (networks.generator, networks.discriminator, networks.inversion):
        network.to(place).to(memory_format=torch.channels_last)
    stop = stop or threading.Event()
    loop = _Loop(run, pairs.on(place), SampleSheet(pairs, config, place), on_progress, stop)
    with cpu_threads(config.cpu_threads):
        if saved is None or saved["phase"] == "gan":
            gan = GanPhase(networks, config)
            done = loop.go_through(gan, steps["gan"], saved)
            saved = None
            if done < steps["gan"]:
                return RunSummary(out, False, done, 0, time.monotonic() - began, loop.last)
            networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
            run.save_weights("generator", networks.generator)
            run.save_weights("discriminator", networks.discriminator)
        inversion = InversionPhase(networks, config)
        done = loop.go_through(inversion, steps["inversion"], saved)
        finished = done == steps["inversion"]
        if finished:
            run.save_weights("inversion", inversion.I_ema.network)
    return RunSummary(out, finished, steps["gan"], done, time.monotonic() - began, loop.last)


class _Loop:
    """The loop and what it carries through both phases: the data, the noise, the run folder."""

    def __init__(
        self,
        run: Run,
        batches: Batches,
        sheet: SampleSheet,
        on_progress: Callable[[Progress], None] | None,
        stop: threading.Event,
    ) -> None:
        self.run, self.batches, self.sheet, self.on_progress, self.stop = run, batches, sheet, on_progress, stop
        self.config = run.record.config
        self.noise = torch.Generator().manual_seed(self.config.seed)
        self.last: dict[str, dict[str, float]] = {line["phase"]: line["metrics"] for line in run.metrics()}

    def go_through(self, phase: Phase, steps: int, saved: dict[str, Any] | None) -> int:
        """Train one phase from its start or from a checkpoint; the step it came to."""
        config = self.config
        step = 0
        if saved is not None:
            step = saved["step"]
            phase.load_state(saved["state"])
            self.noise.set_state(saved["noise"])
        an_epoch = len(self.batches) // config.batch
        order = self._order(phase, step // an_epoch)
        sums, counted = torch.zeros(len(phase.metrics), device=self.batches.images.device), 0
        images = None
        checkpointed = time.monotonic()

        while step < steps and not self.stop.is_set():
            epoch, place = divmod(step, an_epoch)
            if place == 0:
                order = self._order(phase, epoch)
            chosen = order[place * config.batch : (place + 1) * config.batch]
            images, heatmaps = self.batches.take(chosen, out=images)
            sums += phase.step(images, heatmaps, self.noise)
            step, counted = step + 1, counted + 1

            if step % config.log_every == 0:
                self._log(phase, step, (sums / counted).tolist())
                sums, counted = torch.zeros_like(sums), 0
                if time.monotonic() - checkpointed > config.checkpoint_every_s:
                    self._checkpoint(phase, step)
                    checkpointed = time.monotonic()
            if step % config.sample_every == 0 or step == steps:
                self.sheet.write(phase, self.run.path / "samples" / f"{phase.name}-{step:06d}.png")
            if self.on_progress is not None:
                self.on_progress(Progress(phase.name, step, steps, self.last.get(phase.name, {})))

        if counted:
            self._log(phase, step, (sums / counted).tolist())
        self._checkpoint(phase, step)
        return step

    def _order(self, phase: Phase, epoch: int) -> torch.Tensor:
        return self.batches.order(self.config.seed, phase.name == "inversion", epoch)

    def _log(self, phase: Phase, step: int, means: list[float]) -> None:
        metrics = dict(zip(phase.metrics, means, strict=True))
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            last = "no checkpoint was written yet"
            if (saved := self.run.load_checkpoint()) is not None:
                last = f"the checkpoint of {saved['phase']} step {saved['step']} stands"
            raise TrainError(
                f"{bad[0]} is {metrics[bad[0]]} at step {step} of the {phase.name} phase; {last}; "
                "lower the learning rates"
            )
        self.last[phase.name] = metrics
        self.run.log({"phase": phase.name, "step": step, "metrics": metrics})

    def _checkpoint(self, phase: Phase, step: int) -> None:
        self.run.save_checkpoint(
            {"phase": phase.name, "step": step, "state": phase.state(), "noise": self.noise.get_state()}
        )


def _check_shapes(pairs: PairSet, config: TrainConfig) -> None:
    if len(pairs) == 0:
        raise TrainError("the dataset has no pairs; build it from at least one clip")
    heat, image = config.model.heatmap_shape, config.model.image_shape
    if pairs.heatmaps.shape[1:] != heat or pairs.images.shape[1:3] != image:
        raise TrainError(
            f"the dataset has heatmaps {pairs.heatmaps.shape[1:]} and images {pairs.images.shape[1:3]}, "
            f"the model takes {heat} and {image}; an image is 8 times its heatmap"
        )
