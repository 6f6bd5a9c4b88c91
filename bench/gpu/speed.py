"""What a step costs on this device: in every precision, compiled, folded or not, and at several batches.

Each measurement is a dictionary of plain values, so that a stop loses none that is done. One that fails (a batch too
big for the memory, a compiler that gives up) says so in its `error`, and the next is taken.
"""

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lrt.dataset.batches import Batches
from lrt.model.config import TrainConfig
from lrt.model.folding import plain
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, InversionPhase

from ..plain_step import PlainGanStep
from ..training import count_flop
from .pairs import PAIRS

WARM_UP = 4  # steps: cuDNN tries its algorithms, a compiler compiles
BLOCKS = 3  # of steps; their median counts
MOST = 200  # steps of a block

Measured = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """A way to compute a step.

    Attributes:
        tf32: products of float32 matrices in TensorFloat-32, convolutions too.
        options: fields of TrainConfig.
        folded: False: every layer as the paper's tables write it (`folding.plain`).
        naive: the whole step so, as published code takes it (plain_step.py).
    """

    tf32: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    folded: bool = True
    naive: bool = False


SETTINGS = {
    "fp32": Setting(),
    "tf32": Setting(tf32=True),
    "bf16": Setting(tf32=True, options={"bf16": True}),
    "bf16-compiled": Setting(tf32=True, options={"bf16": True, "compile": True}),
    "tf32-compiled": Setting(tf32=True, options={"compile": True}),
    "tf32-unfolded": Setting(tf32=True, folded=False),
    "bf16-unfolded": Setting(tf32=True, options={"bf16": True}, folded=False),
    "fp32-naive": Setting(naive=True),
    "tf32-naive": Setting(tf32=True, naive=True),
}


@contextlib.contextmanager
def precision(tf32: bool) -> Iterator[None]:
    """float32 products in TensorFloat-32 or in full, and cuDNN choosing its algorithms by trying them."""
    cuda = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in cuda], torch.backends.cudnn.benchmark
    for each in cuda:
        each.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        for each, was in zip(cuda, before[0], strict=True):
            each.allow_tf32 = was
        torch.backends.cudnn.benchmark = before[1]


def measure(name: str, config: TrainConfig, batches: Batches, block_s: float) -> Measured:
    """The figures of one setting at the config's batch, or at half of it, and so on, where that does not fit.

    Args:
        name: of the setting.
        config: what is trained.
        batches: pairs, on the device.
        block_s: about how long to time, three times over.

    Returns:
        `setting`, `batch`; then `error`, or: `ran_at`, the batch; `gan_s`, with `gan_s_low` and `gan_s_high`, and
        `inversion_s`, seconds a step, the latter None for a naive setting; `images_per_s`; `gflop_per_image`, None
        where compiled, and `tflop_per_s`; `peak_gib` of the GPU's memory, None on a CPU; `warm_up_s`; `losses` of the
        first step; `hours` for 400 and 10 epochs of 21,959 pairs.
    """
    setting, about = SETTINGS[name], {"setting": name, "batch": config.batch}
    batch = config.batch
    while batch >= 2:
        error = "no memory"
        try:
            with precision(setting.tf32):
                return about | {"ran_at": batch} | _measure(setting, replace(config, batch=batch), batches, block_s)
        except torch.OutOfMemoryError:
            batch //= 2
        except Exception as failed:  # whatever a compiler or a driver may raise: it is the result
            error = f"{type(failed).__name__}: {(str(failed).strip() or 'no message').splitlines()[0][:300]}"
            batch = 0
        finally:
            _let_go(setting, batches.images.device)
    return about | {"error": error}


def _measure(setting: Setting, config: TrainConfig, batches: Batches, block_s: float) -> Measured:
    device = batches.images.device
    config = replace(config, **setting.options)
    networks = build_networks(config.model, seed=0)
    for network in (networks.generator, networks.discriminator, networks.inversion):
        network.to(device)
        if not setting.naive:
            network.to(memory_format=torch.channels_last)
        if not setting.folded:
            plain(network)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    gan = PlainGanStep(networks, config) if setting.naive else GanPhase(networks, config)
    first, warm_up_s, times, flop = _time(gan.step, config, batches, block_s, "compile" not in setting.options)
    inversion_s = None
    if isinstance(gan, GanPhase):
        networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
        inversion = InversionPhase(networks, config)
        inversion_s = statistics.median(_time(inversion.step, config, batches, block_s, counted=False)[2])
    gan_s = statistics.median(times)
    gan_steps, inversion_steps = replace(config, gan_steps=None, inversion_steps=None).steps(PAIRS)
    return {
        "gan_s": gan_s, "gan_s_low": min(times), "gan_s_high": max(times), "inversion_s": inversion_s,
        "images_per_s": config.batch / gan_s,
        "gflop_per_image": flop and flop / config.batch / 1e9, "tflop_per_s": flop and flop / gan_s / 1e12,
        "peak_gib": torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
        "warm_up_s": warm_up_s, "losses": first,
        "hours": (gan_steps * gan_s + inversion_steps * (inversion_s or gan_s)) / 3600,
    }  # fmt: skip


def _time(
    step: Callable[..., torch.Tensor], config: TrainConfig, batches: Batches, block_s: float, counted: bool
) -> tuple[list[float], float, list[float], int | None]:
    """Losses of the first step, seconds of the warm-up, seconds a step of each block, and FLOP of a step if counted."""
    noise = torch.Generator().manual_seed(0)
    order = torch.Generator().manual_seed(0)

    def take() -> torch.Tensor:
        return step(*batches.take(torch.randint(len(batches), (config.batch,), generator=order)), noise)

    began = time.perf_counter()
    first = take().tolist()
    if not all(abs(loss) < config.loss_limit for loss in first):
        raise ArithmeticError(f"the first step's losses are {first}")
    for _ in range(WARM_UP - 1):
        take()
    wait_for(batches.images.device)
    warm_up_s = time.perf_counter() - began
    flop = count_flop(take) if counted else None
    one = seconds_of(take, batches.images.device)
    steps = max(1, min(MOST, round(block_s / one)))
    times = [seconds_of(lambda: [take() for _ in range(steps)], batches.images.device) / steps for _ in range(BLOCKS)]
    return first, warm_up_s, times, flop


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall time until the device has done the work."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    """A GPU works on after the call that asked it to has come back."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _let_go(setting: Setting, device: torch.device) -> None:
    """Give back what a measurement held, so that the next has the whole memory."""
    if "compile" in setting.options:
        torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
