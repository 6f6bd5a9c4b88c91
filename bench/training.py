"""What a training step costs in the fast form, beside the plain one and the public ports', interleaved in one process.

`python -m bench.training --json` prints the figures as JSON. Medians of CPU time over rounds, each round one step of
every form: on a busy machine wall time tells of the neighbours. FLOP (two a multiply-add) are counted over a real step
by torch's formulas, of convolutions and matrix products alone. `--peer acqxi=PATH --peer tzuti=PATH` adds the ports
(peers.py). The last figure is about being right: whether a killed training ends bit for bit like one that was not
(resume.py).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lrt import LrtError
from lrt.model.config import TrainConfig, train_config
from lrt.model.device import cpu_threads
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase
from lrt.model.published import TABLE3

from .__main__ import machine
from .peers import STEPS as PEERS
from .peers import peer_step
from .plain_step import PlainGanStep
from .resume import resume_bit_equal

BATCH, ROUNDS = 16, 3
GEMM_SIDE = 1536  # of the square matrices by which the machine's own rate is measured
TARGETS = {
    "step_vs_naive": (">=", 1.8),
    "bf16_vs_naive": (">=", 2.2),
    **{f"step_vs_{name}": (">=", 1.9) for name in PEERS},
    **{f"bf16_vs_{name}": (">=", 2.2) for name in PEERS},
    "flops_per_image": ("<=", 46.0),
}

Step = Callable[[], object]


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--model", choices=tuple(TABLE3), default="spade-sr-64", help="(default spade-sr-64)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"pairs a step (default {BATCH})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"steps of each form (default {ROUNDS})")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PATH", help="a port's checkout: " + " or ".join(PEERS)
    )
    asked = parser.parse_args(list(arguments))
    peers = {name: Path(path) for name, _, path in (peer.partition("=") for peer in asked.peer)}
    try:
        with cpu_threads(1):  # a second one, waiting for a busy core, would count its waiting as work
            report = measure(asked.model, asked.batch, asked.rounds, peers)
    except LrtError as error:
        sys.exit(str(error))
    report["resume_bit_equal"] = resume_bit_equal()
    print(json.dumps(report, indent=2) if asked.json else write(report))


def write(report: dict[str, Any]) -> str:
    """The figures as a table."""
    lines = [f"{report['model']}, batch {report['batch']}, one thread; medians of {report['rounds']} steps"]
    for name, form in report["forms"].items():
        of_image = f"{form['gflop_per_image']:8.1f} GFLOP an image"
        lines.append(f"  {name:8}{form['cpu_s']:8.2f} CPU s{form['wall_s']:8.2f} s{of_image}")
    for name, (relation, bound) in TARGETS.items():
        if name in report:
            lines.append(f"  {name:18}{report[name]:8.2f}   (wanted {relation} {bound:g})")
    rate = report["gemm_gflop_per_cpu_s"]
    lines.append(f"  {'gemm_share':18}{report['gemm_share']:8.2f}   of {rate:.0f} GFLOP a CPU second")
    lines.append(f"  {'resume_bit_equal':18}{report['resume_bit_equal']!s:>8}")
    return "\n".join(lines)


def measure(
    model: str = "spade-sr-64", batch: int = BATCH, rounds: int = ROUNDS, peers: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """Every figure of the steps; the first round, which warms up and is counted, is not timed.

    Args:
        model: a name in TABLE3.
        batch: pairs a step.
        rounds: timed steps of each form.
        peers: name -> checkout of the ports to measure against.

    Raises:
        PeerError: a port cannot be had so.
    """
    steps = gan_steps(model, batch, peers or {})
    flop = {name: count_flop(step) / batch / 1e9 for name, step in steps.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*steps, "gemm")}
    a, b = torch.randn(2, GEMM_SIDE, GEMM_SIDE)
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(clock(step))
        times["gemm"].append(clock(lambda: a @ b))
    cpu = {name: statistics.median(of_cpu for of_cpu, _ in taken) for name, taken in times.items()}

    def ratio(slow: str, fast: str) -> float:
        pairs = zip(times[slow], times[fast], strict=True)
        return round(statistics.median(of_slow / of_fast for (of_slow, _), (of_fast, _) in pairs), 3)

    gemm_rate = 2 * GEMM_SIDE**3 / 1e9 / cpu["gemm"]
    return {
        "machine": machine(), "torch": torch.__version__, "threads": torch.get_num_threads(),
        "model": model, "batch": batch, "rounds": rounds,
        "step_vs_naive": ratio("plain", "fast"), "bf16_vs_naive": ratio("plain", "bf16"),
        **{f"step_vs_{name}": ratio(name, "fast") for name in peers or {}},
        **{f"bf16_vs_{name}": ratio(name, "bf16") for name in peers or {}},
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


def gan_steps(model: str, batch: int, peers: Mapping[str, Path]) -> dict[str, Step]:
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
        **{name: peer_step(name, path, config, images, heatmaps) for name, path in peers.items()},
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
    main(sys.argv[1:])
