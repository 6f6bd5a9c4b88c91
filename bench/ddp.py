"""Gradients and losses of several gloo processes beside one process', on the same weights, batch and noise.

`python -m bench.ddp --json` prints the largest relative errors of one step of either phase as JSON: the norm of the
difference over the norm, of each weight's gradient in float64, and of a network's whole gradient in float32. The latter
is large, and says nothing of the processes: the losses have kinks (LeakyReLU, |x - x~|, the hinge), and on fresh
networks one process' own float32 gradient is as far from its float64 one. Learning rates are 0, so that the second
network of a step is not asked with weights which the first one's rounding has moved.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrt.model.batch_norm import normalise_whole_batch
from lrt.model.config import PRESETS, TrainConfig, train_config
from lrt.model.device import cpu_threads
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, InversionPhase
from lrt.model.published import TABLE3
from lrt.model.ranks import ALONE, Ranks, join_ranks

from .__main__ import machine

TARGETS = {"ddp_gradient_error": 1e-5, "ddp_loss_error": 1e-5, "ddp_statistics_error": 1e-5}

Step = dict[str, dict[str, Tensor]]  # network -> weight -> its gradient; `losses` of phases; running `statistics`


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ddp", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--model", choices=tuple(TABLE3), default="spade-sr-64", help="(default spade-sr-64)")
    parser.add_argument("--preset", choices=PRESETS, default="authors", help="(default authors)")
    parser.add_argument("--batch", type=int, default=4, help="pairs a step (default 4)")
    parser.add_argument("--processes", type=int, default=2, help="(default 2)")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # of a worker: where the first one leaves them
    asked = parser.parse_args(list(arguments))
    config = replace(train_config(asked.preset, asked.model), batch=asked.batch)
    if asked.into:
        with join_ranks("cpu") as ranks:
            found = {dtype: take_step(config, ranks, dtype) for dtype in (torch.float32, torch.float64)}
            ranks.by_first(torch.save, found, asked.into)
        return
    report = compare(asked.model, asked.preset, asked.batch, asked.processes)
    if asked.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{asked.processes} gloo processes beside one: {asked.model}, preset {asked.preset}, batch {asked.batch}")
    for name, target in TARGETS.items():
        print(f"  {name:28}{report[name]:10.1e}   (wanted <= {target:g})")


def compare(model: str = "spade-sr-64", preset: str = "authors", batch: int = 4, processes: int = 2) -> dict[str, Any]:
    """The figures.

    Args:
        model, preset: as `lrt train` takes them.
        batch: pairs a step of all processes together.
        processes: among which it is shared.

    Raises:
        CalledProcessError: the processes failed; they have said why.
    """
    config = replace(train_config(preset, model), batch=batch)
    theirs = _by_torchrun(config, processes)
    with cpu_threads(1):
        ours = {dtype: take_step(config, ALONE, dtype) for dtype in theirs}
    short, long = torch.float32, torch.float64
    networks = [name for name in ours[short] if name not in ("losses", "statistics")]
    return {
        "machine": machine(), "torch": torch.__version__,
        "model": model, "preset": preset, "batch": batch, "processes": processes,
        "ddp_gradient_error": max(
            _error({weight: theirs[long][name][weight]}, {weight: gradient})
            for name in networks
            for weight, gradient in ours[long][name].items()
            if gradient.any()
        ),
        "ddp_gradient_error_float32": max(_error(theirs[short][name], ours[short][name]) for name in networks),
        "ddp_loss_error": _error(theirs[short]["losses"], ours[short]["losses"]),
        "ddp_statistics_error": _error(theirs[short]["statistics"], ours[short]["statistics"]),
    }  # fmt: skip


def take_step(config: TrainConfig, ranks: Ranks, dtype: torch.dtype) -> Step:
    """What one step of each phase on a batch of noise finds."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return _take_step(config, ranks)
    finally:
        torch.set_default_dtype(before)


def _take_step(config: TrainConfig, ranks: Ranks) -> Step:
    names = ("generator", "discriminator", "inversion", "inversion_discriminator")
    config = replace(config, **{f"lr_{name}": 0.0 for name in names})
    noise = torch.Generator().manual_seed(0)
    rows, columns = config.model.heatmap_shape
    heatmaps = ranks.share(torch.rand(config.batch, 1, rows, columns, generator=noise) * 2 - 1)
    images = ranks.share(torch.rand(config.batch, 3, 8 * rows, 8 * columns, generator=noise) * 2 - 1)
    networks = build_networks(config.model, 0)
    for network in (networks.generator, networks.discriminator, networks.inversion):
        normalise_whole_batch(network, ranks)
        network.to(memory_format=torch.channels_last)
    gan = GanPhase(networks, config, ranks)
    losses = {gan.name: ranks.mean(gan.step(images, heatmaps, noise))}
    found = {"generator": _gradients(gan.G), "discriminator": _gradients(gan.D)}
    inversion = InversionPhase(networks, config, ranks)
    losses[inversion.name] = ranks.mean(inversion.step(images, heatmaps, noise))
    found |= {"inversion": _gradients(inversion.I), "discriminator beside it": _gradients(inversion.D)}
    statistics = {
        f"{name} {key}": value
        for name, network in (("generator", gan.G), ("inversion", inversion.I))
        for key, value in network.named_buffers()
        if "running" in key
    }
    return {**found, "losses": losses, "statistics": statistics}


def _gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}


def _error(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> float:
    """Of tensors put end to end: the norm of the difference over the norm."""
    a, b = (torch.cat([tensors[name].flatten() for name in ours]) for tensors in (theirs, ours))
    return ((a - b).norm() / b.norm()).item()


def _by_torchrun(config: TrainConfig, processes: int) -> dict[torch.dtype, Step]:
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "step.pt"
        asked = ["--model", config.model.name, "--preset", config.preset, "--batch", str(config.batch)]
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        subprocess.run(
            [*torchrun, "-m", "bench.ddp", *asked, "--into", str(into)],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=True,
        )
        return torch.load(into, weights_only=True)


if __name__ == "__main__":
    main(sys.argv[1:])
