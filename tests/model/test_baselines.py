"""What the paper argues from: G by L1 alone, and a semantic branch with batch normalisation, each a whole training."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lrt.dataset.loading import PairSet
from lrt.model.config import BASELINES, TrainConfig, train_config
from lrt.model.drawing import Painter
from lrt.model.evaluate import evaluate
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, RegressionPhase
from lrt.model.plan import plan_training
from lrt.model.run import Run
from lrt.model.train import RunSummary, train

CPU = torch.device("cpu")


def tiny(model: str) -> TrainConfig:
    config = train_config("smoke", model)
    small = replace(config.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
    return replace(config, model=small, batch=4, gan_steps=6, inversion_steps=4, log_every=2, sample_every=6)


def step(phase: RegressionPhase | GanPhase, pairs: PairSet) -> torch.Tensor:
    images, heatmaps = pairs.on(CPU).take(torch.arange(4))
    return phase.step(images, heatmaps, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory, few: PairSet) -> RunSummary:
    """A whole run."""
    return train(few, tmp_path_factory.mktemp("regression") / "run", tiny("regression-64"), held_out=few)


def test_presets_keep_what_makes_a_baseline():
    for preset in ("authors", "paper", "smoke"):
        models = [train_config(preset, name).model for name in ("spade-sr-64", *BASELINES)]
        assert [(model.semantic_norm, model.regression) for model in models] == [
            (False, False),
            (True, False),
            (False, True),
        ]
    assert train_config("authors", "regression-64").steps(21_959) == (34_000, 0)


def test_a_config_of_before_there_were_baselines_is_read_as_it_was():
    config = train_config("smoke", "spade-128")
    saved = json.loads(json.dumps(config.to_json()))
    del saved["model"]["semantic_norm"], saved["model"]["regression"]
    assert TrainConfig.from_json(saved) == config


def test_regression_descends_the_mean_absolute_error_and_moves_every_weight(few: PairSet):
    config = tiny("regression-64")
    phase = RegressionPhase(build_networks(config.model, 0), config)
    before = {name: value.clone() for name, value in phase.G.state_dict().items()}
    images, heatmaps = few.on(CPU).take(torch.arange(4))
    by_hand = (images - phase.G(torch.empty(4, 0), heatmaps)).abs().mean().item()
    phase = RegressionPhase(build_networks(config.model, 0), config)
    losses = [step(phase, few).item() for _ in range(40)]
    assert losses[0] == pytest.approx(by_hand, rel=1e-5)
    assert losses[-1] < 0.5 * losses[0]
    unmoved = [name for name, value in phase.G.state_dict().items() if torch.equal(value, before[name])]
    assert unmoved == []


def test_a_branch_with_batch_normalisation_trains_and_draws_by_its_running_statistics(few: PairSet):
    config = tiny("spade-sr-64-bn")
    phase = GanPhase(build_networks(config.model, 0), config)
    metrics = step(phase, few)
    assert torch.isfinite(metrics).all()
    branch = phase.G.semantic
    norms = [module for module in branch.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 8
    assert all(norm.num_batches_tracked == 1 for norm in norms)  # the heat speaks once a step
    one = few.on(CPU).take(torch.arange(1))[1]
    many = few.on(CPU).take(torch.arange(8))[1]
    drawn = [phase.G_ema.network(torch.zeros(len(heat), 8), heat)[0] for heat in (one, many)]
    torch.testing.assert_close(*drawn)


def test_a_regression_leaves_a_run_like_any_other_without_d(regression: RunSummary):
    run = regression.run
    assert (regression.finished, regression.gan_steps, regression.inversion_steps) == (True, 6, 0)
    assert regression.best_step is None
    assert sorted(path.stem for path in run.glob("*.safetensors")) == ["generator", "generator-last", "inversion"]
    lines = Run.open(run).metrics()
    assert [(line["phase"], line["step"], list(line["metrics"])) for line in lines] == [
        ("regression", number, ["g_reconstruction"]) for number in (2, 4, 6)
    ]
    assert [path.name for path in (run / "samples").iterdir()] == ["regression-000006.png"]
    card = (run / "README.md").read_text()
    for said in (
        "# regression-64, preset smoke",
        "from heatmaps of 8 x 5 alone. Training finished",
        "it takes no code",
        "- steps: 6 of 6 regression; batch 4",
        "- parameters: generator ",
        "`inversion` is empty",
    ):
        assert said in card
    assert "discriminator" not in card.split("Where it departs")[0]


def test_a_stopped_regression_goes_on_bit_for_bit(tmp_path: Path, few: PairSet, regression: RunSummary):
    stop = threading.Event()
    seen = []

    def stop_early(progress: object) -> None:
        seen.append(progress)
        if len(seen) == 3:
            stop.set()

    config = tiny("regression-64")
    cut = train(few, tmp_path / "run", config, held_out=few, stop=stop, on_progress=stop_early)
    assert (cut.finished, cut.gan_steps) == (False, 3)
    assert train(few, tmp_path / "run", config, resume=True, held_out=few).finished
    for name in ("generator.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (regression.run / name).read_bytes()


def test_a_regression_draws_one_picture_for_a_heatmap_whatever_the_source(regression: RunSummary, few: PairSet):
    painter = Painter(regression.run, CPU)
    codes = painter.code(few.images[:2])
    assert codes.shape == (2, 8)
    heat = np.repeat(few.heatmaps[:1], 3, axis=0)
    drawn = [painter.draw(z, heat) for z in (codes[:1], painter.noise(3, 0), painter.noise(3, 1))]
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.allclose(drawn[0][0], painter.draw(codes[:1], few.heatmaps[5:6])[0], atol=1e-4)


def test_an_evaluation_of_a_regression_says_that_it_is_one(tmp_path: Path, regression: RunSummary, few: PairSet):
    found = evaluate(regression.run, few, tmp_path, runs=1)
    assert found.regression is True
    assert found.z_diversity == pytest.approx(0.0, abs=1e-6)
    assert 0 < found.mae < 1
    assert json.loads((tmp_path / "evaluation.json").read_text())["regression"] is True


def test_a_plan_of_a_regression_is_of_g_alone(few: PairSet):
    plan = plan_training(few, tiny("regression-64"))
    assert (plan.gan_steps, plan.inversion_steps, plan.inversion_step_s) == (6, 0, 0.0)
    assert list(plan.parameters) == ["generator"]
    assert plan.seconds == pytest.approx(6 * plan.gan_step_s)
