"""What a power cut leaves of a training run's checkpoints and of a dataset being built."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from vm_powercut import Cut, mend, read_tree

from lrt import __version__
from lrt.dataset.info import read_info
from lrt.dataset.loading import load_pairs
from lrt.dataset.place import mend_swap
from lrt.model.config import train_config
from lrt.model.record import RunRecord
from lrt.model.run import Run, RunError

CHECKPOINTS, WEIGHTS = 45, 100_000  # how many are made, and numbers in each: 0.4 MB


@dataclass
class FilesVerdict:
    """What many cuts came to.

    Attributes:
        cuts, unflushed, unmendable: as of clips.
        promised_lost: cuts after which a checkpoint or a build that had returned was not there.
        damaged: cuts after which what was there was not whole.
        faults: a line each.
    """

    cuts: int = 0
    unflushed: int = 0
    unmendable: int = 0
    promised_lost: int = 0
    damaged: int = 0
    faults: list[str] = field(default_factory=list)


def make_checkpoints(folder: Path) -> None:
    """Checkpoints as a training writes them, by its own `save_checkpoint`, and the run's config.json."""
    record = RunRecord(train_config("smoke"), "", 0, 0, True, None, f"lrt {__version__}")
    run = Run.create(folder / "run", record)
    noise = torch.Generator().manual_seed(0)
    for step in range(CHECKPOINTS):
        weights = torch.randn(WEIGHTS, generator=noise)
        run.save_checkpoint({"phase": "gan", "step": step, "state": {"weights": weights}, "noise": noise.get_state()})
        shutil.move(run.path / "checkpoint.pt", folder / f"{step:03d}.pt")
    shutil.move(run.path / "config.json", folder)


def judge_checkpoints(cuts: Iterable[Cut], work: Path) -> FilesVerdict:
    """Open the run each cut left as `lrt train --resume` does, and hold its checkpoint against what was promised."""
    verdict = FilesVerdict()
    for cut in cuts:
        if not _mend(cut, verdict):
            continue
        read_tree(cut.image, "/run", work / "tree")
        promised = cut.mark.get("step", -1)
        try:
            run = Run.open(work / "tree/run")
            saved = run.load_checkpoint()
            run.forget_metrics_after("gan", promised)
        except RunError as error:
            if promised >= 0:
                verdict.damaged += 1
                verdict.faults.append(f"cut {cut.number}: {error}")
            continue
        step = -1 if saved is None else int(saved["step"])
        if step < promised:
            verdict.promised_lost += 1
            verdict.faults.append(f"cut {cut.number}: checkpoint {promised} had been written, {step} is there")
    return verdict


def judge_builds(cuts: Iterable[Cut], work: Path) -> FilesVerdict:
    """What stands at the dataset's name is a whole dataset, and the promised one or a later."""
    verdict = FilesVerdict()
    for cut in cuts:
        if not _mend(cut, verdict):
            continue
        read_tree(cut.image, "/sets", work / "tree")
        out = work / "tree/sets/dataset"
        promised, there = cut.mark.get("built", -1), -1
        try:
            mend_swap(out)  # as the next build does first
            if out.exists():
                there = round((50.0 - read_info(out).config["max_gap_ms"]) * 2)  # as guest/power_files.py numbers them
                load_pairs(out, "train")
        except Exception as error:  # of any kind: what is no LrtError has no words for a user either
            verdict.damaged += 1
            verdict.faults.append(f"cut {cut.number}: {type(error).__name__}: {error}")
            continue
        if there < promised:
            verdict.promised_lost += 1
            verdict.faults.append(f"cut {cut.number}: build {promised} had returned, {there} is there")
    return verdict


def _mend(cut: Cut, verdict: FilesVerdict) -> bool:
    verdict.cuts += 1
    verdict.unflushed += bool(cut.pending)
    mended, said = mend(cut.image)
    if not mended:
        verdict.unmendable += 1
        verdict.faults.append(f"cut {cut.number}: e2fsck: {said.splitlines()[-1] if said else 'silent'}")
    return mended
