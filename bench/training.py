"""What a training step costs in the fast form, beside the plain one, interleaved in one process.

`python -m bench.training --json` prints the figures as JSON. Medians of CPU time over rounds, each round one step of
every form: on a busy machine wall time tells of the neighbours. FLOP (two a multiply-add) are counted over a real step
by torch's formulas, of convolutions and matrix products alone.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lrt.model.config import MODELS, TrainConfig, train_config
from lrt.model.device import cpu_threads
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase

from .__main__ import machine
from .plain_step import PlainGanStep

BATCH, ROUNDS = 16, 3
GEMM_SIDE = 1536  # of the square matrices by which the machine's own rate is measured
TARGETS = {"step_vs_naive": (">=", 1.8), "bf16_vs_naive": (">=", 2.2), "flops_per_image": ("<=", 46.0)}

Step = Callable[[], object]


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--model", choices=tuple(MODELS), default="spade-sr-64", help="(default spade-sr-64)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"pairs a step (default {BATCH})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"steps of each form (default {ROUNDS})")
    asked = parser.parse_args(list(arguments))
    with cpu_threads(1):  # a second one, waiting for a busy core, would count its waiting as work
        report = measure(asked.model, asked.batch, asked.rounds)
    if asked.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{asked.model}, batch {asked.batch}, one thread; medians of {asked.rounds} steps")
    for name, form in report["forms"].items():
        print(
            f"  {name:8}{form['cpu_s']:8.2f} CPU s{form['wall_s']:8.2f} s{form['gflop_per_image']:8.1f} GFLOP an image"
        )
    for name, (relation, bound) in TARGETS.items():
        print(f"  {name:18}{report[name]:8.2f}   (wanted {relation} {bound:g})")
    print(
        f"  {'gemm_share':18}{report['gemm_share']:8.2f}   of {report['gemm_gflop_per_cpu_s']:.0f} GFLOP a CPU second"
    )


def measure(model: str = "spade-sr-64", batch: int = BATCH, rounds: int = ROUNDS) -> dict[str, Any]:
    """Every figure; the first round, which warms up and is counted, is not timed.

    Args:
        model: a name in MODELS.
        batch: pairs a step.
        rounds: timed steps of each form.
    """
    steps = gan_steps(model, batch)
    flop = {name: count_flop(step) / batch / 1e9 for name, step in steps.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*steps, "gemm")}
    a, b = torch.randn(2, GEMM_SIDE, GEMM_SIDE)
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(clock(step))
        times["gemm"].append(clock(lambda: a @ b))
    cpu = {name: statistics.median(of_cpu for of_cpu, _ in taken) for name, taken in times.items()}

    def ratio(name: str) -> float:
        pairs = zip(times["plain"], times[name], strict=True)
        return round(statistics.median(slow / fast for (slow, _), (fast, _) in pairs), 3)

    gemm_rate = 2 * GEMM_SIDE**3 / 1e9 / cpu["gemm"]
    return {
        "machine": machine(), "torch": torch.__version__, "threads": torch.get_num_threads(),
        "model": model, "batch": batch, "rounds": rounds,
        "step_vs_naive": ratio("fast"), "bf16_vs_naive": ratio("bf16"),
        "flops_per_image": round(flop["fast"], 2),
        "gemm_share": round(flop["fast"] * batch / cpu["fast"] / gemm_rate, 3),
        "gemm_gflop_per_cpu_s": round(gemm_rate, 1),
        "forms": {
            name: {
                "cpu_s": round(cpu[name], 3),
                "wall_s": round(statistics.median(wall for _, wall in times[name]), 3),
                "gflop_per_image": round(flop[name], 2),
            }
            for name in steps
        },
    }  # fmt: skip


def gan_steps(model: str, batch: int) -> dict[str, Step]:
    """One step of each form, on networks, data and noise of its own; the data is noise, which costs the same."""
    config = replace(train_config("authors", model), batch=batch)
    noise = torch.Generator().manual_seed(0)
    rows, columns = config.model.heatmap_shape
    heatmaps = torch.rand(batch, 1, rows, columns, generator=noise) * 2 - 1
    images = torch.rand(batch, 3, 8 * rows, 8 * columns, generator=noise) * 2 - 1
    plain = PlainGanStep(build_networks(config.model, 0), config)
    fast, bf16 = _fast(config), _fast(replace(config, bf16=True))
    images_last = images.contiguous(memory_format=torch.channels_last)
    return {
        "plain": lambda: plain.step(images, heatmaps, noise),
        "fast": lambda: fast.step(images_last, heatmaps, noise),
        "bf16": lambda: bf16.step(images_last, heatmaps, noise),
    }


def _fast(config: TrainConfig) -> GanPhase:
    """The step as `lrt train` takes it."""
    networks = build_networks(config.model, 0)
    for network in (networks.generator, networks.discriminator):
        network.to(memory_format=torch.channels_last)
    return GanPhase(networks, config)


class CountFlop(TorchDispatchMode):
    """Adds up `flop` while it is on; torch's FlopCounterMode follows modules, and trips over R1 by autograd."""

    flop = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.flop += formula(*args, **(kwargs or {}), out_val=out)
        return out


def count_flop(step: Step) -> int:
    """FLOP of one step."""
    with CountFlop() as counter:
        step()
    return counter.flop


def clock(step: Step) -> tuple[float, float]:
    """CPU seconds, of all threads, and wall seconds of one step."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
