"""The run folder: what a training leaves behind, and how it goes on.

runs/<name>/README.md              the model card
            config.json            the whole TrainConfig, the hashes of data and code, the calibration
            metrics.jsonl          a line every `log_every` steps; events.out.tfevents.lrt: the same, for TensorBoard
            samples/*.png          sample sheets with fixed seeds
            checkpoint.pt          all that the next step depends on; replaced whole, so there is only the last
            generator.safetensors, discriminator.safetensors, inversion.safetensors
                                   the averaged (EMA) weights at the end: what evaluation and synthesis read
            *-last.safetensors     the live weights at the end, which the averages trail
            inversion-best.safetensors
                                   the average with the least error on held-out pairs, where there are any
            lock                   whose process writes here, while it is locked (`lock.py`)
"""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from .. import LrtError, __version__, write_whole
from . import events
from .layers import count_parameters
from .record import RunRecord
from .weights import WeightsError, decode_weights, encode_weights

PHASES = ("regression", "gan", "inversion")  # in the order of training: a regression has the first alone
EVENTS = "events.out.tfevents.lrt"  # TensorBoard opens what has `tfevents` in its name


class RunError(LrtError, RuntimeError):
    """A run folder that is not there, is another's, or is not finished."""


class Run:
    """An open run folder.

    Attributes:
        path: the folder.
        record: what it is.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path, self.record = path, record

    @staticmethod
    def create(path: Path, record: RunRecord) -> "Run":
        """Begin a run.

        Raises:
            RunError: there is one in the folder already, or the folder cannot be written.
        """
        if (path / "config.json").exists():
            raise RunError(f"{path} holds a run already; add --resume to go on with it, or give another --out")
        try:
            (path / "samples").mkdir(parents=True, exist_ok=True)
            write_whole(path / "config.json", json.dumps(record.to_json(), indent=2).encode())
        except OSError as error:
            raise RunError(f"cannot begin a run in {path}: {error.strerror}; give another --out") from error
        return Run(path, record)

    @staticmethod
    def open(path: Path) -> "Run":
        """A run that is there.

        Raises:
            RunError: no run in the folder, or its config.json cannot be read.
        """
        try:
            record = RunRecord.from_json(json.loads((path / "config.json").read_text()))
        except FileNotFoundError as error:
            raise RunError(f"{path} holds no run: there is no config.json; train one with `lrt train`") from error
        except (ValueError, KeyError, TypeError) as error:  # a ConfigError is a ValueError too
            raise RunError(f"{path / 'config.json'} is not a run's config of this version of lrt ({error})") from error
        return Run(path, record)

    @staticmethod
    def resume(path: Path, record: RunRecord) -> "Run":
        """The run in the folder, when it is the one of `record`.

        Raises:
            RunError: no run, or one of another model, config or dataset; both are named.
        """
        run = Run.open(path)
        if (mismatch := run.record.mismatch(record)) is not None:
            raise RunError(f"{path} {mismatch}")
        for partial in path.rglob(".*.partial"):
            partial.unlink()  # what a kill cut short; the file itself is whole
        return run

    def log(self, line: dict[str, Any]) -> None:
        """Append to metrics.jsonl and to TensorBoard's events."""
        with self.writing("metrics.jsonl"):
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            with (self.path / EVENTS).open("ab") as file:
                file.write(events.encode_line(line) if file.tell() else events.HEAD + events.encode_line(line))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; one that a power cut left half-written is passed over."""
        try:
            text = (self.path / "metrics.jsonl").read_text(errors="replace")
        except FileNotFoundError:
            return []
        lines = []
        for line in text.splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                lines.append(json.loads(line))
        return lines

    def forget_metrics_after(self, phase: str, step: int) -> None:
        """Drop the lines that a resumed run will write again."""
        reached = (PHASES.index(phase), step)
        kept = [line for line in self.metrics() if (PHASES.index(line["phase"]), line["step"]) <= reached]
        self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        self.write(EVENTS, events.HEAD + b"".join(events.encode_line(line) for line in kept))

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file into the folder.

        Raises:
            RunError: the disk is full or the folder cannot be written; what was there before stands.
        """
        with self.writing(name):
            write_whole(self.path / name, content)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """What is written inside fails as one line: what could not be written, and what is not lost."""
        try:
            yield
        except OSError as error:
            kept = (self.path / "checkpoint.pt").exists()
            stands = "the last checkpoint stands" if kept else "there is no checkpoint yet"
            raise RunError(
                f"cannot write {self.path / name}: {error.strerror}; {stands}; make room, then go on with --resume"
            ) from error

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint: tensors and plain values only, so that reading it runs nobody's code.

        Raises:
            RunError: it cannot be written; the one before stands.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self.write("checkpoint.pt", buffer.getvalue())

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, its tensors on the CPU; None when the run was cut before its first.

        Raises:
            RunError: the file is damaged, holds more than tensors and plain values, or is no checkpoint of ours.
        """
        path = self.path / "checkpoint.pt"
        try:
            with warnings.catch_warnings(action="ignore"):  # torch wonders at a pickle that is not its own; so do we
                saved = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except UnpicklingError as error:
            raise RunError(
                f"{path} is damaged, or holds code, which is not run; delete it to begin the run again"
            ) from error
        except (RuntimeError, EOFError, ValueError, OSError) as error:
            raise RunError(f"{path} is damaged; delete it to begin the run again") from error
        whole = isinstance(saved, dict) and saved.keys() >= {"phase", "step", "state", "noise"}
        if not whole or saved["phase"] not in PHASES:
            raise RunError(f"{path} is no checkpoint of a training; delete it to begin the run again")
        return saved

    def save_weights(self, name: str, network: nn.Module, **about: str) -> None:
        """Write `<name>.safetensors`: weights and running statistics, and in its header whose they are.

        Raises:
            RunError: it cannot be written.
        """
        config = self.record.config
        metadata = {
            "network": name,
            "model": config.model.name,
            "preset": config.preset,
            "parameters": str(count_parameters(network)),
            "trained_on_synthetic_data": str(self.record.synthetic).lower(),
            "software": f"lrt {__version__}",
            **about,
        }
        self.write(f"{name}.safetensors", encode_weights(network.state_dict(), metadata))

    def load_weights(self, name: str, network: nn.Module) -> None:
        """Read `<name>.safetensors` into a network.

        Raises:
            RunError: there are none yet, or they are of another network.
        """
        path = self.path / f"{name}.safetensors"
        try:
            network.load_state_dict(decode_weights(path.read_bytes()))
        except FileNotFoundError as error:
            raise RunError(f"{self.path} has no trained {name} yet; finish it with `lrt train --resume`") from error
        except (WeightsError, RuntimeError) as error:
            raise RunError(f"{path} is damaged or of another network; train the run again") from error
