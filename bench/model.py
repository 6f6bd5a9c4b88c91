"""Model: what a training step and a drawn picture cost on this machine's CPU."""

import statistics
import time
from dataclasses import replace

import torch

from lrt.model.config import MODELS, train_config
from lrt.model.device import cpu_threads
from lrt.model.networks import build_networks, model_table
from lrt.model.phases import GanPhase, InversionPhase

STEPS = 3  # timed, after one to warm up


def main() -> None:
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads (smoke: 1); medians of {STEPS} steps, wall time"
    )
    print("\nparameters")
    for name, count in model_table().items():
        print(f"  {name:20} {count:>12,}")
    print("\nstep                          batch   GAN       inversion")
    for name, preset, batch in (
        ("spade-sr-64 smoke", "smoke", 8),
        ("spade-sr-64 smoke", "smoke", 4),
        ("spade-sr-64 authors", "authors", 4),
        ("spade-sr-64 authors", "authors", 8),
    ):
        gan, inversion = _step_times(preset, batch)
        print(f"  {name:28}{batch:>5}   {gan:6.3f} s  {inversion:6.3f} s", flush=True)
    print("\none picture drawn from heat, batch 1")
    for name in ("spade-sr-32", "spade-sr-64", "spade-sr-128", "spade-64", "spade-128"):
        print(f"  {name:28}{1000 * _draw_time(name):8.1f} ms", flush=True)


def _step_times(preset: str, batch: int) -> tuple[float, float]:
    """Seconds of one step of either phase."""
    config = replace(train_config(preset), batch=batch)
    networks = build_networks(config.model, 0)
    for network in (networks.generator, networks.discriminator, networks.inversion):
        network.to(memory_format=torch.channels_last)
    noise = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 40, 64, 3, generator=noise).permute(0, 3, 1, 2) * 2 - 1
    heatmaps = torch.rand(batch, 1, 5, 8, generator=noise) * 2 - 1
    with cpu_threads(config.cpu_threads):
        gan = GanPhase(networks, config)
        of_gan = _median(lambda: gan.step(images, heatmaps, noise))
        networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
        inversion = InversionPhase(networks, config)
        return of_gan, _median(lambda: inversion.step(images, heatmaps, noise))


def _draw_time(name: str) -> float:
    """Seconds of one picture."""
    generator = build_networks(MODELS[name], 0).generator.eval().to(memory_format=torch.channels_last)
    z, heatmaps = torch.randn(1, 128), torch.rand(1, 1, 5, 8) * 2 - 1
    with torch.inference_mode():
        return _median(lambda: generator(z, heatmaps))


def _median(work) -> float:
    work()
    took = []
    for _ in range(STEPS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
