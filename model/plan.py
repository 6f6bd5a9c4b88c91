"""What a training would take, before it begins: its data, its size, and its time by a few steps thrown away."""

import resource
import sys
import time
from dataclasses import dataclass

import torch

from ..dataset.loading import PairSet
from .config import TrainConfig
from .device import cpu_threads, pick_device
from .layers import count_parameters
from .networks import build_networks
from .phases import Phase, phases_of
from .train import check_pairs

CPU_BATCH = 8  # a step of the paper's batch takes a CPU minutes, and costs as much a pair as a small one
STEPS = 3  # timed after one that is not: the first allocates
PATIENCE_S = 15.0  # for the timed steps of one phase


@dataclass(frozen=True)
class Plan:
    """A training that has not begun.

    Attributes:
        pairs, clips, held_out: of the training split, and pairs of the test split.
        gan_steps, inversion_steps: what the config makes of so many pairs; a regression's are the first.
        batch: pairs a step.
        parameters: of each network.
        device: where it would be trained: torch's name, and the GPU's own where it is one.
        timed_batch: pairs of the steps that were timed; fewer than `batch` on a CPU, and then scaled up.
        gan_step_s, inversion_step_s: seconds of one step at `batch`.
        seconds: of the whole training, without its logs and sheets.
        memory_bytes: the GPU's peak, or on a CPU the process's, at `batch`.
    """

    pairs: int
    clips: int
    held_out: int
    gan_steps: int
    inversion_steps: int
    batch: int
    parameters: dict[str, int]
    device: str
    timed_batch: int
    gan_step_s: float
    inversion_step_s: float
    seconds: float
    memory_bytes: int


def plan_training(pairs: PairSet, config: TrainConfig, held_out: PairSet | None = None, device: str = "auto") -> Plan:
    """What `train` would do with the same arguments; nothing is written.

    Raises:
        ConfigError, DeviceError, TrainError: as `train` raises them.
    """
    for each in (pairs, held_out):
        if each is not None:
            check_pairs(each, config)
    gan_steps, inversion_steps = config.steps(len(pairs))
    place = pick_device(device)
    timed_batch = config.batch if place.type == "cuda" else min(config.batch, CPU_BATCH)
    networks = build_networks(config.model, config.seed)
    for network in networks.trained.values():
        network.to(place).to(memory_format=torch.channels_last)
    images, heatmaps = pairs.on(place).take(torch.arange(timed_batch))
    before = _memory_bytes(place)
    with cpu_threads(config.cpu_threads):
        took = [_time_step(phase(networks, config), images, heatmaps) for phase in phases_of(config)]
    scale = config.batch / timed_batch
    gan_s, inversion_s = (scale * seconds for seconds in (*took, 0.0)[:2])
    return Plan(
        pairs=len(pairs),
        clips=len(set(pairs.clip.tolist())),
        held_out=0 if held_out is None else len(held_out),
        gan_steps=gan_steps,
        inversion_steps=inversion_steps,
        batch=config.batch,
        parameters={name: count_parameters(network) for name, network in networks.trained.items()},
        device=torch.cuda.get_device_name(place) if place.type == "cuda" else str(place),
        timed_batch=timed_batch,
        gan_step_s=gan_s,
        inversion_step_s=inversion_s,
        seconds=gan_steps * gan_s + inversion_steps * inversion_s,
        memory_bytes=round(before + (_memory_bytes(place) - before) * scale),
    )


def _time_step(phase: Phase, images: torch.Tensor, heatmaps: torch.Tensor) -> float:
    """Seconds of the quickest of a few steps: what slows one down is somebody else's work."""
    noise = torch.Generator().manual_seed(0)
    phase.step(images, heatmaps, noise).tolist()
    took: list[float] = []
    while len(took) < STEPS and sum(took) < PATIENCE_S:
        began = time.perf_counter()
        phase.step(images, heatmaps, noise).tolist()  # on a GPU this waits until the step is done
        took.append(time.perf_counter() - began)
    return min(took)


def _memory_bytes(place: torch.device) -> int:
    """The most memory that was in use so far."""
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
