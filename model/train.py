"""Training: the GAN phase, then the inversion phase, into a run folder that can be left and gone on with anywhere."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..dataset.loading import PairSet
from ..dataset.splits import DEFAULT_NAME
from .batch_norm import normalise_whole_batch
from .card import notes_on, write_card
from .config import TrainConfig
from .device import cpu_threads, pick_device
from .heldout import HeldOut
from .journal import Journal, TrainError
from .lock import lock_folder
from .loop import Loop, Progress
from .networks import build_networks
from .phases import phases_of
from .ranks import ALONE, RankError, Ranks
from .record import RunRecord
from .run import PHASES, Run
from .samples import SampleSheet


@dataclass(frozen=True)
class RunSummary:
    """What a training came to.

    Attributes:
        run: the folder.
        finished: False when it was stopped; `resume` goes on.
        gan_steps, inversion_steps: done so far, earlier sittings included; a regression's are the first.
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
    named: str = DEFAULT_NAME,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    device: str = "auto",
    ranks: Ranks = ALONE,
) -> RunSummary:
    """Train a model on the pairs, into a run folder.

    `stop` ends it after the step at hand with a checkpoint; a resumed run then takes the very steps that the
    uninterrupted one would have taken.

    Args:
        pairs: the training split; images 8 times the heatmaps' rows and columns, as `config.model` says.
        out: the run folder; made when it is not there.
        resume: go on with the run in `out`.
        held_out: pairs that are never trained on: the inversion encoder's error on them chooses the best step.
        calibration, named: kept in config.json; the second says which way of splitting `pairs` come from.
        on_progress: called after every step, on the first rank.
        stop: an event; with several ranks, set on any of them.
        device: `auto`, or torch's name of one.
        ranks: who trains it, from `join_ranks`: every one calls this with the same arguments.

    Raises:
        RunError: `out` holds a run and `resume` is False, or none or another one and it is True; or another process
            is training there.
        ConfigError: fewer pairs than a batch.
        RankError: ranks that a batch does not divide among, that differ in what they train, or one that is gone.
        DeviceError: torch has no such device here.
        TrainError: pairs of another size than the model's or with heat that is no number; or a loss or a weight
            that is none any more, or that diverged (the last good checkpoint stays).
    """
    began = time.monotonic()
    for each in (pairs, held_out):
        if each is not None:
            check_pairs(each, config)
    place = pick_device(device)
    phases = phases_of(config)
    steps = {phase.name: count for phase, count in zip(phases, config.steps(len(pairs)), strict=False)}
    record = RunRecord.of(config, pairs, calibration, named)
    _check_ranks(ranks, record)
    stop = stop or threading.Event()

    with contextlib.ExitStack() as held:
        run, saved = ranks.by_first(_open, out, record, resume, held)
        notes = notes_on(run.record, record, held_out)
        networks = build_networks(config.model, config.seed)
        for network in (networks.generator, networks.discriminator, networks.inversion):
            normalise_whole_batch(network, ranks)
            network.to(place).to(memory_format=torch.channels_last)
        judge = None if held_out is None else HeldOut(held_out, place)
        journal = Journal(run, SampleSheet(pairs, config, place), judge)
        loop = Loop(pairs.on(place), journal, ranks, on_progress, stop, sum(steps.values()))

        def summarise(finished: bool, gan_steps: int, inversion_steps: int = 0) -> RunSummary:
            best_step = None if journal.best is None else journal.best["step"]
            seconds = time.monotonic() - began
            summary = RunSummary(out, finished, gan_steps, inversion_steps, seconds, journal.last, best_step, notes)
            run.write("README.md", write_card(run.record, summary, steps, networks, held_out).encode())
            return summary

        def save(weights: dict[str, nn.Module]) -> None:
            for name, network in weights.items():
                run.save_weights(name, network)

        if saved is None:
            ranks.by_first(summarise, False, 0)  # a card from the first second
        held.enter_context(cpu_threads(config.cpu_threads))
        done: list[int] = []
        for kind in phases:
            if saved is not None and saved["phase"] != kind.name:  # behind us
                done.append(steps[kind.name])
                loop.taken += steps[kind.name]
                continue
            phase = kind(networks, config, ranks)
            done.append(loop.go_through(phase, steps[kind.name], saved))
            saved = None
            if done[-1] < steps[kind.name]:
                return ranks.by_first(summarise, False, *done)
            ranks.by_first(save, phase.finish(networks))
        return ranks.by_first(summarise, True, *done)


def _check_ranks(ranks: Ranks, record: RunRecord) -> None:
    """Say no to ranks that cannot take the same steps."""
    batch = record.config.batch
    if batch % ranks.size:
        raise RankError(
            f"a batch of {batch} does not divide among {ranks.size} processes; give --batch "
            f"{batch + -batch % ranks.size}, or another number of processes"
        )
    facts = {
        "settings": str(record.config),
        "data": record.data_sha256,
        "code": record.code_sha256,
        "PyTorch": record.torch,
    }
    if differing := ranks.differing(facts):
        raise RankError(f"the processes of this training differ in {', '.join(differing)}; give all of them the same")


def _open(out: Path, record: RunRecord, resume: bool, held: contextlib.ExitStack) -> tuple[Run, dict[str, Any] | None]:
    """The run, begun or found again, with its folder locked; and its checkpoint, if there is one."""
    if not resume or (out / "config.json").exists():
        held.enter_context(lock_folder(out))
    if not resume:
        return Run.create(out, record), None
    run = Run.resume(out, record)
    if (saved := run.load_checkpoint()) is None:
        run.forget_metrics_after(PHASES[0], 0)
    return run, saved


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
