"""The smoke preset learns: what a newcomer sees at the end of the demo is asked for here in figures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrt.model.config import train_config
from lrt.model.evaluate import evaluate
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase
from lrt.model.run import Run
from lrt.model.train import train

_PRESET = train_config("smoke")
CONFIG = replace(_PRESET, gan_steps=400, inversion_steps=125)  # half of it: enough for these figures


@pytest.fixture(scope="module")
def learned(tmp_path_factory, figures):
    """The run folder and its evaluation."""
    run = train(figures, tmp_path_factory.mktemp("runs") / "smoke", CONFIG).run
    return Run.open(run), evaluate(run, figures, runs=1)


def test_the_person_stands_where_the_heat_is(learned):
    _, evaluation = learned
    assert evaluation.heat_image_correlation > 0.4
    assert evaluation.heat_image_correlation_real > 0.5
    assert abs(evaluation.heat_image_correlation_shuffled) < 0.15


def test_the_code_changes_colour_and_light(learned):
    _, evaluation = learned
    assert evaluation.z_diversity > 0.05  # 0.1 on the networks' scale of [-1, 1]
    assert evaluation.z_diversity > 0.3 * evaluation.z_diversity_real


def test_d_reads_the_heat_off_real_and_drawn_images(learned):
    run, _ = learned
    gan = [line["metrics"] for line in run.metrics() if line["phase"] == "gan"]
    assert gan[0]["d_heatmap_real"] > 0.15
    assert gan[-1]["d_heatmap_real"] < 0.1
    assert gan[-1]["g_heatmap"] < 0.1


def test_the_codes_of_real_images_redraw_them_better_than_any_other_code(learned, figures):
    run, evaluation = learned
    inversion = [line["metrics"]["i_reconstruction"] for line in run.metrics() if line["phase"] == "inversion"]
    assert inversion[-1] < 0.7 * inversion[0]
    light = figures.images.astype(np.float32).mean(axis=(1, 2, 3)) / 255
    by_ignoring_the_light = np.abs(light - light.mean()).mean()
    assert evaluation.mae < by_ignoring_the_light


def test_one_batch_is_overfitted(few):
    """On four pairs alone D soon reads their heat far better than on its first step."""
    phase = GanPhase(build_networks(CONFIG.model, 0), CONFIG)
    images, heatmaps = few.on("cpu").take(torch.tensor([0, 5, 10, 15]))
    noise = torch.Generator().manual_seed(0)
    read = [phase.step(images, heatmaps, noise)[phase.metrics.index("d_heatmap_real")].item() for _ in range(80)]
    assert np.mean(read[-10:]) < 0.2 * read[0]
