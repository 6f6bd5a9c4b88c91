"""torch.compile changes how a step is worked out, and nothing else."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lrt.dataset.loading import PairSet
from lrt.model import compiling
from lrt.model.compiling import CompileError, compiled
from lrt.model.config import TrainConfig, train_config
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, InversionPhase
from lrt.model.run import Run
from lrt.model.train import train

_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(_SMOKE, model=SMALL, batch=4, gan_steps=3, inversion_steps=2, log_every=1, sample_every=100)


@pytest.fixture(autouse=True)
def _by_aot_eager(monkeypatch: pytest.MonkeyPatch):
    """The whole way of torch.compile but its last: no C++, seconds for minutes. Nothing compiled is kept."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    yield
    torch.compiler.reset()


def take_steps(pairs: PairSet, config: TrainConfig) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Losses of two steps of each phase in float64, and the weights after them."""
    torch.set_default_dtype(torch.float64)
    try:
        images, heatmaps = (part.double() for part in pairs.on("cpu").take(torch.arange(config.batch)))
        networks = build_networks(config.model, 0)
        noise = torch.Generator().manual_seed(0)
        gan = GanPhase(networks, config)
        found = [gan.step(images, heatmaps, noise) for _ in range(2)]
        networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
        inversion = InversionPhase(networks, config)
        found += [inversion.step(images, heatmaps, noise) for _ in range(2)]
    finally:
        torch.set_default_dtype(torch.float32)
    return torch.cat(found), [network.state_dict() for network in (gan.G, inversion.D, inversion.I)]


def test_compiled_steps_are_the_steps(few: PairSet):
    """Losses, weights and running statistics, names included."""
    torch.testing.assert_close(
        take_steps(few, replace(TINY, compile=True)), take_steps(few, TINY), rtol=1e-9, atol=1e-11
    )


def test_a_compiled_run_resumes_and_its_checkpoint_is_like_any_other(tmp_path: Path, few: PairSet):
    def leave_after_a_step(config: TrainConfig, resume: bool = False) -> Run:
        stop = threading.Event()
        train(few, tmp_path / str(config.compile), config, resume, stop=stop, on_progress=lambda _: stop.set())
        return Run.open(tmp_path / str(config.compile))

    runs = []
    for config in (replace(TINY, compile=True), TINY):
        leave_after_a_step(config)
        runs.append(leave_after_a_step(config, resume=True))
    saved, plain = (run.load_checkpoint() for run in runs)
    assert saved is not None
    assert plain is not None
    assert saved["step"] == plain["step"] == 2
    for name, part in saved["state"].items():
        assert part.keys() == plain["state"][name].keys()
    first, second = (line["metrics"] for line in runs[0].metrics())
    assert first == pytest.approx(runs[1].metrics()[0]["metrics"], rel=1e-4, abs=1e-5)
    assert second == pytest.approx(runs[1].metrics()[1]["metrics"], rel=0.05, abs=0.02)


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler here")

    monkeypatch.setattr(compiling, "BACKEND", broken)
    double = compiled(lambda x: 2 * x, replace(TINY, compile=True))
    with pytest.raises(CompileError, match=r"torch.compile does not work here \(.*\); train with --set compile=false"):
        double(torch.ones(2))


def test_without_the_setting_nothing_is_compiled():
    assert compiled(len, TINY) is len


def test_a_run_of_before_there_was_the_setting_is_the_same_run():
    saved = TINY.to_json()
    del saved["compile"]
    assert TrainConfig.from_json(saved) == TINY
