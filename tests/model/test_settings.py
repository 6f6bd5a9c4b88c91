"""Settings of a training as text, and what a training would take."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from lrt.dataset.loading import PairSet
from lrt.model.config import PRESETS, ConfigError, TrainConfig, train_config
from lrt.model.networks import model_table
from lrt.model.plan import plan_training
from lrt.model.settings import choose_config, parse_settings, read_settings, write_settings
from lrt.model.train import TrainError


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_config_is_read_back_as_itself(tmp_path: Path, preset: str):
    config = replace(train_config(preset, "spade-128", (12, 16)), seed=3, adam_betas=(0.5, 0.9))
    (tmp_path / "mine.toml").write_text(write_settings(config))
    assert choose_config(read_settings(tmp_path / "mine.toml")) == config


def test_without_a_dataset_the_heatmaps_size_is_left_to_it(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(write_settings(train_config("smoke"), heatmap_shape_known=False))
    assert choose_config(read_settings(tmp_path / "mine.toml"), heatmap_shape=(12, 16)).model.heatmap_shape == (12, 16)


def test_every_field_can_be_set():
    """Set to what it is, each: the names are all known and the values are taken."""
    config = train_config("smoke")
    given = [line for line in write_settings(config).replace("[model]", "").splitlines() if " = " in line]
    of_model = {field.name for field in fields(config.model)}
    named = [f"model.{line}" if line.split(" ")[0] in of_model else line for line in given]
    settable = [line for line in named if not line.startswith(("preset", "model.name"))]
    assert len(settable) == len(fields(TrainConfig)) - 2 + len(of_model) - 1
    assert choose_config(parse_settings(settable), "smoke") == config


def test_what_is_set_goes_before_the_preset_and_the_options_before_the_file():
    config = choose_config({"preset": "smoke", "model.name": "spade-64", "lr_generator": 1, "model.width": 8}, "paper")
    assert (config.preset, config.model.name, config.lr_generator, config.model.width) == ("paper", "spade-64", 1.0, 8)
    assert isinstance(config.lr_generator, float)
    assert choose_config(parse_settings(["gan_steps=none"]), "smoke").gan_steps is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("lr_genrator=1", "no setting 'lr_genrator'; did you mean lr_generator?"),
        ("xyzzy=1", "no setting 'xyzzy'; `lrt train --print-config` lists them all"),
        ("lr_generator", "has no '='; write it like lr_generator=1e-4"),
        ("lr_generator=fast", "this is no number, true, false or"),
        ("lr_generator=true", "lr_generator is true; give a number"),
        ("seed=1\npreset='paper'", "this is no number"),
        ("lr_generator=nan", "lr_generator is nan; give 0 or more"),
        ("lr_generator=-1e-4", "lr_generator is -0.0001; give 0 or more"),
        ("batch=1.5", "batch is 1.5; give a whole number"),
        ("batch=1", "batch is 1; batch normalisation needs 2"),
        ("ema=1.0", "ema is 1.0; from 1 on"),
        ("adam_betas=0.9", "adam_betas is 0.9; give two numbers"),
        ("adam_betas=[0.0, 1.0]", "adam_betas is .0.0, 1.0.; give two numbers from 0 to below 1"),
        ("gan_steps=0", "gan_steps is 0; give 1 or more"),
        ("model.width=0", "model.width is 0; give 1 or more"),
        ("model.self_resampling=1", "model.self_resampling is 1; give true or false"),
        ("preset=paper", "--set cannot change preset; give --preset"),
        ("model.name=spade-64", "--set cannot change model.name; give --model"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(given: str, says: str):
    with pytest.raises(ConfigError, match=says) as refused:
        choose_config(parse_settings([given]), "smoke")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_config_is_one_line(tmp_path: Path):
    file = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match=r"cannot read .*mine\.toml: No such file"):
        read_settings(file)
    for content, says in (("a = = 1", "is no TOML"), ("model = 'spade-64'", r"give a table \[model\]")):
        file.write_text(content)
        with pytest.raises(ConfigError, match=says):
            read_settings(file)
    file.write_text("[model]\nwidht = 3\n")
    with pytest.raises(ConfigError, match=r"no setting 'model\.widht'; did you mean model\.width\?"):
        choose_config(read_settings(file))
    file.write_text("preset = 3\n")
    with pytest.raises(ConfigError, match="no preset '3'"):
        choose_config(read_settings(file))


def test_print_config_prints_what_config_reads(run: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """And every --set is in it; nothing else is needed, no dataset and no run."""
    code, out, err = run("train", "--preset", "smoke", "--set", "lr_generator=1e-4", "--seed", 7, "--print-config")
    assert (code, err) == (0, "")
    (tmp_path / "mine.toml").write_text(out)
    _, again, _ = run("train", "--config", tmp_path / "mine.toml", "--print-config")
    assert again == out
    _, changed, _ = run("train", "--config", tmp_path / "mine.toml", "--set", "seed=8", "--print-config", "--json")
    chosen = json.loads(changed)
    assert (chosen["preset"], chosen["lr_generator"], chosen["seed"]) == ("smoke", 1e-4, 8)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--print-config", "--set", "lr_genrator=1"), "no setting 'lr_genrator'; did you mean lr_generator?"),
        (("--print-config", "--config", "nowhere.toml"), "cannot read nowhere.toml"),
        ((), "Missing argument 'DATASET'"),
        (("dataset",), "Missing option '--out'"),
    ],
)
def test_the_command_refuses_in_one_line(run: Callable[..., tuple[int, str, str]], options: tuple, says: str):
    code, out, err = run("train", *options)
    assert (code, out) == (1, "")
    assert err.startswith("lrt: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_plan_counts_what_training_would_do_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: PairSet, make_pairs: Callable[..., PairSet]
):
    monkeypatch.chdir(tmp_path)
    smoke = train_config("smoke")
    small = replace(smoke.model, width=4, semantic_width=4, discriminator_width=4, inversion_width=4)
    config = replace(smoke, model=small, batch=12, gan_steps=None, gan_epochs=5)
    plan = plan_training(few, config, make_pairs(1, 4), "cpu")
    assert (plan.pairs, plan.clips, plan.held_out) == (24, 3, 4)
    assert (plan.gan_steps, plan.inversion_steps, plan.batch, plan.timed_batch) == (10, 250, 12, 8)
    assert plan.seconds == pytest.approx(10 * plan.gan_step_s + 250 * plan.inversion_step_s)
    assert plan.gan_step_s > 0
    assert plan.memory_bytes > 1e8
    assert plan.parameters.keys() == {"generator", "discriminator", "inversion"}
    assert plan.parameters["generator"] < model_table()["spade-sr-64"]
    assert not list(tmp_path.iterdir())


def test_a_plan_refuses_what_training_refuses(few: PairSet, make_pairs: Callable[..., PairSet]):
    with pytest.raises(TrainError, match="the model takes"):
        plan_training(make_pairs(1, 4, heatmap_shape=(12, 16)), train_config("smoke"))
    with pytest.raises(ConfigError, match="24 pairs do not fill one batch of 256"):
        plan_training(few, train_config("authors"))
