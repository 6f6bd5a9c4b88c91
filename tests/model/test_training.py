import copy
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from lrt.model.config import PRESETS, ConfigError, TrainConfig, differences, train_config
from lrt.model.device import DeviceError, cpu_threads
from lrt.model.ema import Ema
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, InversionPhase
from lrt.model.run import Run, RunError
from lrt.model.train import TrainError, train

CPU = torch.device("cpu")
_SMOKE = train_config("smoke")
TINY = replace(
    _SMOKE,
    model=replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4),
    batch=4,
    gan_steps=8,
    inversion_steps=6,
    log_every=2,
    sample_every=100,
)


def weights_of(run):
    return {name: safetensors.torch.load_file(run / f"{name}.safetensors") for name in ("generator", "inversion")}


def assert_equal_weights(first, second):
    for network, tensors in first.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, second[network][name]), f"{network} {name}"


def stop_after(steps):
    """A stop event and a progress callback that sets it after so many steps in all."""
    stop, seen = threading.Event(), []

    def on_progress(progress):
        seen.append(progress)
        if len(seen) == steps:
            stop.set()

    return stop, on_progress


def test_presets_hold_the_published_settings():
    authors = train_config("authors")
    assert (authors.batch, authors.gan_epochs, authors.inversion_epochs) == (256, 400, 10)
    assert (authors.lr_generator, authors.lr_discriminator, authors.lr_inversion) == (5e-5, 2e-4, 5e-5)
    assert (authors.adam_betas, authors.ema, authors.inversion_ema) == ((0.0, 0.999), 0.999, 0.99)
    assert (authors.r1_weight, authors.heatmap_weight, authors.heatmap_band) == (5.0, 2.0, 0.05)
    assert authors.steps(21_959) == (34_000, 850)


def test_the_paper_differs_from_the_authors_code_in_two_settings_alone():
    assert differences(train_config("paper")) == {
        "r1_factor": (0.5, 1.0),
        "generator_heatmap_factor": (1.0, 0.5),
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_json(preset):
    config = train_config(preset, "spade-128", (12, 16), seed=7)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no model 'spade-sr'; choose one of spade-sr-32, spade-sr-64"):
        train_config("smoke", "spade-sr")
    with pytest.raises(ConfigError, match="no preset 'quick'; choose one of authors, paper, smoke"):
        train_config("quick")


def test_ema_follows_its_closed_form_and_copies_running_statistics():
    live = torch.nn.BatchNorm1d(1)
    ema = Ema(live, decay=0.9)  # starts at weight 1
    with torch.no_grad():
        for value in (2.0, 3.0):
            live.weight.fill_(value)
            live.running_mean.fill_(value)
            ema.update(live)
    assert ema.network.weight.item() == pytest.approx(0.81 * 1 + 0.09 * 2 + 0.1 * 3)
    assert ema.network.running_mean.item() == 3.0
    assert not ema.network.training
    assert not ema.network.weight.requires_grad


def test_one_gan_step_moves_every_weight_and_the_statistics_twice(few):
    phase = GanPhase(build_networks(TINY.model, 0), TINY)
    before = {name: value.clone() for name, value in phase.G.state_dict().items()}
    images, heatmaps = few.on(CPU).take(torch.arange(4))
    metrics = phase.step(images, heatmaps, torch.Generator().manual_seed(0))
    assert len(metrics) == len(phase.metrics)
    for name, value in phase.G.state_dict().items():
        assert not torch.equal(value, before[name]), name
    assert phase.G.norm.norm.num_batches_tracked == 2
    assert all(parameter.requires_grad for parameter in phase.D.parameters())


def test_r1_and_heatmap_factors_reach_the_losses(few):
    images, heatmaps = few.on(CPU).take(torch.arange(4))

    def first_step(**changed):
        phase = GanPhase(build_networks(TINY.model, 0), replace(TINY, **changed))
        return dict(zip(phase.metrics, phase.step(images, heatmaps, torch.Generator().manual_seed(0)), strict=True))

    authors, paper = first_step(lr_discriminator=0.0), first_step(lr_discriminator=0.0, r1_factor=1.0)
    assert paper["d_r1"].item() == pytest.approx(2 * authors["d_r1"].item(), rel=1e-5)
    halved = first_step(lr_discriminator=0.0, generator_heatmap_factor=0.5)
    expected = halved["g_adversarial"] + 2 * 0.5 * halved["g_heatmap"]
    assert halved["g_total"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_inversion_leaves_g_as_it_was_and_trains_i_and_d(few):
    networks = build_networks(TINY.model, 0)
    phase = InversionPhase(networks, TINY)
    before = {name: copy.deepcopy(getattr(phase, name)) for name in "GDI"}
    statistics = phase.G.norm.norm.running_mean.clone()
    images, heatmaps = few.on(CPU).take(torch.arange(4))
    phase.step(images, heatmaps, torch.Generator())

    def unmoved(name):
        now = dict(getattr(phase, name).named_parameters())
        return {key for key, then in before[name].named_parameters() if torch.equal(then, now[key])}

    assert unmoved("G") == set(dict(phase.G.named_parameters()))
    assert unmoved("D") <= {"realness.bias"}  # the hinge pulls it up and down alike while no score is clear of 1
    assert unmoved("I") == set()
    assert torch.equal(phase.G.norm.norm.running_mean, statistics)


@pytest.mark.parametrize("cut", [5, 11], ids=["in the GAN phase", "in the inversion phase"])
def test_a_resumed_run_ends_with_the_very_bits_of_an_uninterrupted_one(tmp_path, few, cut):
    whole = train(few, tmp_path / "whole", TINY)
    stop, on_progress = stop_after(cut)
    half = train(few, tmp_path / "cut", TINY, on_progress=on_progress, stop=stop)
    assert not half.finished
    assert half.gan_steps + half.inversion_steps == cut
    rest = train(few, tmp_path / "cut", TINY, resume=True)
    assert whole.finished
    assert rest.finished
    assert_equal_weights(weights_of(whole.run), weights_of(rest.run))


def test_a_seed_repeats_a_training_and_another_does_not(tmp_path, few):
    short = replace(TINY, gan_steps=2, inversion_steps=1)
    first, again = (weights_of(train(few, tmp_path / name, short).run) for name in ("first", "again"))
    other = weights_of(train(few, tmp_path / "other", replace(short, seed=1)).run)
    assert_equal_weights(first, again)
    assert not torch.equal(first["generator"]["start.weight"], other["generator"]["start.weight"])


def test_a_run_folder_holds_what_it_promises(tmp_path, few):
    summary = train(few, tmp_path / "run", TINY, calibration={"tx": 1.5})
    run = Run.open(tmp_path / "run")
    assert run.record.config == TINY
    assert run.record.calibration == {"tx": 1.5}
    assert run.record.synthetic
    assert (run.record.pairs, run.record.clips) == (24, 3)
    lines = run.metrics()
    assert [(line["phase"], line["step"]) for line in lines] == [
        *(("gan", step) for step in (2, 4, 6, 8)),
        *(("inversion", step) for step in (2, 4, 6)),
    ]
    assert all(np.isfinite(value) for line in lines for value in line["metrics"].values())
    assert summary.metrics["gan"] == lines[3]["metrics"]
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == [
        "gan-000008.png",
        "inversion-000006.png",
    ]
    assert not list((tmp_path / "run").glob(".*"))  # no half-written neighbour stays


def test_exported_weights_are_the_averages(tmp_path, few):
    train(few, tmp_path / "run", TINY)
    checkpoint = Run.open(tmp_path / "run").load_checkpoint()
    exported = weights_of(tmp_path / "run")
    for name, tensor in checkpoint["state"]["inversion_ema"].items():
        assert torch.equal(tensor, exported["inversion"][name])
    live = checkpoint["state"]["inversion"]["to_z.weight"]
    assert not torch.equal(live, exported["inversion"]["to_z.weight"])


def test_lines_after_the_checkpoint_are_written_once(tmp_path, few):
    stop, on_progress = stop_after(4)
    train(few, tmp_path / "run", TINY, on_progress=on_progress, stop=stop)
    run = Run.open(tmp_path / "run")
    run.log({"phase": "gan", "step": 6, "metrics": {"d_total": 0.0}})  # written, then power was cut
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "gan", "st')
    train(few, tmp_path / "run", TINY, resume=True)
    assert [line["step"] for line in run.metrics() if line["phase"] == "gan"] == [2, 4, 6, 8]


def test_a_run_is_not_overwritten_and_not_continued_as_another(tmp_path, few, make_pairs):
    out = tmp_path / "run"
    short = replace(TINY, gan_steps=1, inversion_steps=1)
    train(few, out, short)
    with pytest.raises(RunError, match="holds a run already; add --resume"):
        train(few, out, short)
    other_model = replace(short, model=replace(short.model, name="spade-64"))
    with pytest.raises(RunError, match="is a run of spade-sr-64, not of spade-64"):
        train(few, out, other_model, resume=True)
    with pytest.raises(RunError, match="is a run of preset smoke, not paper"):
        train(few, out, replace(short, preset="paper"), resume=True)
    with pytest.raises(RunError, match=r"is a run with ema = 0\.\d+, not 0\.5"):
        train(few, out, replace(short, ema=0.5), resume=True)
    with pytest.raises(RunError, match=r"on the dataset \w{12} \(24 pairs\), not on \w{12} \(24 pairs\)"):
        train(make_pairs(3, 8, seed=5), out, short, resume=True)
    with pytest.raises(RunError, match="holds no run"):
        train(few, tmp_path / "elsewhere", short, resume=True)


def test_losses_that_are_no_numbers_end_the_training_and_keep_the_checkpoint(tmp_path, few):
    out = tmp_path / "run"
    stop, on_progress = stop_after(2)
    train(few, out, TINY, on_progress=on_progress, stop=stop)
    run = Run.open(out)
    poisoned = run.load_checkpoint()
    poisoned["state"]["generator"]["start.weight"][0, 0] = float("nan")
    run.save_checkpoint(poisoned)
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainError, match=r"is nan at step 4 of the gan phase; the checkpoint of gan step 2 stands"):
        train(few, out, TINY, resume=True)
    assert (out / "checkpoint.pt").read_bytes() == before
    assert [line["step"] for line in run.metrics()] == [2]


def test_a_damaged_checkpoint_is_named(tmp_path, few):
    stop, on_progress = stop_after(2)
    train(few, tmp_path / "run", TINY, on_progress=on_progress, stop=stop)
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"checkpoint\.pt is damaged"):
        train(few, tmp_path / "run", TINY, resume=True)


def test_data_that_does_not_fit_the_model_is_refused_in_one_line(tmp_path, few, make_pairs):
    with pytest.raises(TrainError, match=r"heatmaps \(12, 16\) and images \(96, 128\), the model takes \(5, 8\)"):
        train(make_pairs(1, 4, heatmap_shape=(12, 16)), tmp_path / "size", TINY)
    with pytest.raises(ConfigError, match="24 pairs do not fill one batch of 256"):
        train(few, tmp_path / "authors", train_config("authors"))
    with pytest.raises(DeviceError, match="device 'tpu' is not usable"):
        train(few, tmp_path / "device", TINY, device="tpu")
    assert not list(tmp_path.iterdir())


def test_threads_are_lent_and_given_back_even_after_an_error():
    before = torch.get_num_threads()
    lent = []

    def failing():
        with cpu_threads(before + 1):
            lent.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert lent == [before + 1]
    assert torch.get_num_threads() == before
    with cpu_threads(None):
        assert torch.get_num_threads() == before
