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
"""

import contextlib
import functools
import hashlib
import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from .. import LrtError, __version__, write_whole
from ..dataset import batches, loading
from ..dataset.loading import PairSet
from . import events
from .config import TrainConfig
from .layers import count_parameters

PHASES = ("gan", "inversion")  # in the order of training
EVENTS = "events.out.tfevents.lrt"  # TensorBoard opens what has `tfevents` in its name


class RunError(LrtError, RuntimeError):
    """A run folder that is not there, is another's, or is not finished."""


@dataclass(frozen=True)
class RunRecord:
    """What a run is: config.json.

    Attributes:
        config: how it is trained.
        data_sha256: of the pairs' images and heatmaps.
        pairs, clips: how many.
        synthetic: a twin made the data: pictures of this run show nobody.
        calibration: the calibration behind the data, as the caller gave it.
        software: the version of lrt that began the run.
        code_sha256: of `hash_code` when the run began; "" in a run of before there was one.
        torch: the version of PyTorch that began the run.
    """

    config: TrainConfig
    data_sha256: str
    pairs: int
    clips: int
    synthetic: bool
    calibration: dict[str, Any] | None
    software: str
    code_sha256: str = ""
    torch: str = ""

    @staticmethod
    def of(config: TrainConfig, pairs: PairSet, calibration: dict[str, Any] | None) -> "RunRecord":
        """The record of a run that begins now."""
        digest = hashlib.sha256(pairs.images.tobytes())
        digest.update(pairs.heatmaps.tobytes())
        clips = len(set(pairs.clip.tolist()))
        return RunRecord(
            config,
            digest.hexdigest(),
            len(pairs),
            clips,
            pairs.synthetic,
            calibration,
            __version__,
            hash_code(),
            torch.__version__,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, the order of reading."""
        return {
            "software": self.software,
            "code_sha256": self.code_sha256,
            "torch": self.torch,
            "model": self.config.model.name,
            "synthetic": self.synthetic,
            "data": {"sha256": self.data_sha256, "pairs": self.pairs, "clips": self.clips},
            "calibration": self.calibration,
            "config": self.config.to_json(),
        }


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
            saved = json.loads((path / "config.json").read_text())
            data = saved["data"]
            record = RunRecord(
                TrainConfig.from_json(saved["config"]),
                data["sha256"],
                data["pairs"],
                data["clips"],
                saved["synthetic"],
                saved["calibration"],
                saved["software"],
                saved.get("code_sha256", ""),
                saved.get("torch", ""),
            )
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
        then, now = run.record.config, record.config
        if then.model.name != now.model.name:
            raise RunError(
                f"{path} is a run of {then.model.name}, not of {now.model.name}; "
                f"give --model {then.model.name} or another --out"
            )
        if then.preset != now.preset:
            raise RunError(
                f"{path} is a run of preset {then.preset}, not {now.preset}; "
                f"give --preset {then.preset} or another --out"
            )
        if then != now:
            saved, given = _flat(then.to_json()), _flat(now.to_json())
            name = next(name for name in saved if saved[name] != given[name])
            raise RunError(
                f"{path} is a run with {name} = {saved[name]}, not {given[name]}; give the same or another --out"
            )
        if run.record.data_sha256 != record.data_sha256:
            theirs, ours = run.record, record
            raise RunError(
                f"{path} is a run on the dataset {theirs.data_sha256[:12]} ({theirs.pairs} pairs), "
                f"not on {ours.data_sha256[:12]} ({ours.pairs} pairs); give that dataset or another --out"
            )
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
        tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
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
        self.write(f"{name}.safetensors", safetensors.torch.save(tensors, metadata))

    def load_weights(self, name: str, network: nn.Module) -> None:
        """Read `<name>.safetensors` into a network.

        Raises:
            RunError: there are none yet, or they are of another network.
        """
        path = self.path / f"{name}.safetensors"
        try:
            network.load_state_dict(safetensors.torch.load_file(path))
        except FileNotFoundError as error:
            raise RunError(f"{self.path} has no trained {name} yet; finish it with `lrt train --resume`") from error
        except (SafetensorError, RuntimeError) as error:
            raise RunError(f"{path} is damaged or of another network; train the run again") from error


@functools.cache  # of what this process began with, though somebody edits a file
def hash_code() -> str:
    """SHA-256 of the model's source files, all of them, and of those that make batches of pairs."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in (*sorted(here.glob("*.py")), Path(loading.__file__), Path(batches.__file__)):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
