"""A table trains what is missing, takes what is there, and says no more than its seeds and clips allow."""

import functools
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lrt.dataset.loading import PairSet
from lrt.dataset.splits import DEFAULT_NAME
from lrt.model.comparing import Interval, Measure, judge_claim, judge_order
from lrt.model.config import ConfigError, TrainConfig, train_config
from lrt.model.judges import train_judge
from lrt.model.measures import fine_detail
from lrt.model.networks import model_table
from lrt.model.published import TABLE3, published_pairs
from lrt.model.run import RunError
from lrt.model.table3 import TableData, TableRun, fill_table, plan_table
from lrt.model.tabulate import tabulate
from lrt.model.yardstick import MeasureConfig, Yardstick

CPU = torch.device("cpu")
CLIPS = (0.02, 0.04, 0.03, 0.05, 0.01, 0.03)


def of_clips(*seeds: tuple[float, ...]) -> Measure:
    """A mean over clips, by seed."""
    return Measure({k: float(np.mean(one)) for k, one in enumerate(seeds)}, dict(enumerate(seeds)))


def shift(by: float, noise: float = 0.0) -> tuple[float, ...]:
    """CLIPS, all further by so much, and a little more in every second."""
    return tuple(value + by + noise * (number % 2) for number, value in enumerate(CLIPS))


# ------------------------------------------------------------------------------------------------------ what is said


def test_the_paper_orders_ten_pairs_and_the_counts_are_the_networks_own():
    pairs = published_pairs(list(TABLE3))
    assert len(pairs) == 10
    assert pairs[0] == ("spade-sr-128", "spade-sr-64")
    assert ("spade-sr-32", "spade-128") in pairs
    assert all(TABLE3[better].mae < TABLE3[worse].mae for better, worse in pairs)
    assert {name: model_table()[name] for name in TABLE3} == {name: one.parameters for name, one in TABLE3.items()}


def test_clips_that_are_hard_for_both_do_not_hide_a_difference():
    """The clips differ by 0.04, the models by 0.001 in each of them: paired, that is plain to see."""
    better = of_clips(shift(0), shift(0.0001), shift(-0.0001))
    worse = of_clips(shift(0.001, 2e-4), shift(0.0011, 2e-4), shift(0.0009, 2e-4))
    assert better.interval().high > worse.interval().low
    judged = judge_order(better, worse)
    assert judged is not None
    assert judged[1] == "as published"
    assert judged[0].value == pytest.approx(0.0011)
    back = judge_order(worse, better)
    assert back is not None
    assert back[1] == "reversed"


def test_seeds_that_disagree_tell_nothing_apart():
    """Ahead in the mean and on every clip, but one seed says otherwise."""
    judged = judge_order(of_clips(CLIPS, CLIPS, CLIPS), of_clips(shift(0.004), shift(0.004), shift(-0.003)))
    assert judged is not None
    assert judged[0].value > 0
    assert judged[1] == "not told apart"


def test_one_seed_has_an_interval_over_clips_and_tells_no_models_apart():
    judged = judge_order(of_clips(CLIPS), of_clips(shift(0.5, 0.01)))
    assert judged is not None
    assert judged[0].low == pytest.approx(0.505, abs=0.006)
    assert judged[1] == "not told apart"


def test_models_are_compared_over_the_seeds_that_both_have():
    one, two = of_clips(CLIPS, shift(1)), replace(of_clips(shift(3)), of_seeds={1: 3.03}, of_clips={1: shift(3)})
    judged = judge_order(one, two)
    assert judged is not None
    assert judged[0].value == pytest.approx(2.0)
    assert judge_order(of_clips(CLIPS), two) is None


def test_seeds_widen_an_interval_by_students_t():
    """Clips alike, three seeds at 1, 2, 3: the textbook's interval, 2 +- 4.303 / sqrt(3)."""
    interval = of_clips((1.0, 1.0), (2.0, 2.0), (3.0, 3.0)).interval()
    assert interval.high == pytest.approx(2 + 4.3027 / np.sqrt(3), abs=1e-3)
    assert interval.low == pytest.approx(2 - 4.3027 / np.sqrt(3), abs=1e-3)


def test_a_distance_takes_its_error_from_what_is_left_out():
    left = np.array([10.0, 10.3, 9.7, 10.1, 9.9])
    interval = Measure({0: 10.0}, {0: tuple(left.tolist())}, left_out=True).interval()
    error = np.sqrt(4 / 5 * ((left - left.mean()) ** 2).sum())
    assert interval.high == pytest.approx(10 + 1.96 * error)
    assert Measure({0: 10.0}, {0: ()}, left_out=True).interval() == Interval(10.0, None, None, 1)


@pytest.mark.parametrize(
    ("differences", "answer"),
    [
        (((0.1, 0.3), (0.0, 0.2)), "yes"),
        (((-0.1, 0.3), (-0.2, 0.2)), "not told apart"),
        (((-0.3, -0.1), (-0.1, 0.2)), "no"),
        (((-0.3, -0.1), (0.1, 0.2)), "divided"),
    ],
)
def test_the_claim_is_answered_by_what_clears_zero(differences, answer):
    assert judge_claim([Interval((low + high) / 2, low, high, 3) for low, high in differences]) == answer


def made_up(model: str, seed: int, mae: float, frechet: float, drawn: float = 0.2) -> TableRun:
    """A measured run of hand-made figures on four clips."""
    estimate = {"value": frechet, "of_groups": [frechet + k for k in (-0.1, 0.0, 0.1)]}
    figures = {
        "mae": mae,
        "per_clip": {f"clip-{k}": mae + 0.01 * (k - 1.5) for k in range(4)},
        "distances": {"frechet_distance": estimate, "kernel_distance": estimate, "precision": estimate}
        | {"recall": estimate},
        "detail": 0.5,
        "clothing": {"red": {"drawn": drawn, "real": 0.2}},
        "control": None,
    }
    config = replace(train_config("smoke", model), seed=seed)
    return TableRun(Path("runs"), config, "measured", figures={"test": figures})


def test_a_table_judges_order_claim_and_lost_shirts():
    """SPADE-SR ahead in both widths by MAE, behind by distance; SPADE-64 never draws red in one of its runs."""
    table = []
    for seed in range(3):
        wobble = 0.0001 * seed
        table += [
            made_up("spade-sr-64", seed, 0.03 + wobble, 9.0 + seed / 50),
            made_up("spade-64", seed, 0.04 + wobble, 8.0 + seed / 60, drawn=0.2 if seed else 0.01),
        ]
    found = tabulate(table, "test")

    assert found["models"]["spade-64"]["collapsed"] is True
    assert found["models"]["spade-64"]["missing_clothing"] == [["red"], [], []]
    assert found["models"]["spade-sr-64"]["collapsed"] is False
    assert found["models"]["spade-sr-64"]["figures"]["mae"]["value"] == pytest.approx(0.0301)
    assert {line["measure"]: line["verdict"] for line in found["order"]} == {
        "frechet": "reversed",
        "mae": "as published",
    }
    assert found["claim"]["answer"] == "divided"
    assert found["claim"]["differences"]["mae"]["value"] == pytest.approx(0.01)
    assert tabulate(table[:1], "test")["claim"] is None
    assert tabulate([], "test") == {"models": {}, "order": [], "claim": None, "baselines": {}}


def test_baselines_are_set_against_the_standard_model_and_left_out_of_the_papers_order():
    table = [
        made_up(model, seed, mae + seed / 1e4, frechet)
        for seed in range(2)
        for model, mae, frechet in (("spade-sr-64", 0.03, 9.0), ("regression-64", 0.025, 12.0))
    ]
    found = tabulate(table, "test")
    assert found["order"] == []
    assert found["claim"] is None
    assert list(found["baselines"]) == ["regression-64"]
    differences = found["baselines"]["regression-64"]
    assert differences["mae"]["value"] == pytest.approx(-0.005)
    assert differences["mae"]["high"] < 0
    assert differences["frechet"]["value"] == pytest.approx(3.0)
    assert tabulate(table[1:2], "test")["baselines"] == {}


def test_a_blurred_picture_has_less_fine_detail(few):
    blurred = few.images.reshape(len(few), 20, 2, 32, 2, 3).mean(axis=(2, 4)).repeat(2, axis=1).repeat(2, axis=2)
    assert fine_detail(blurred.astype(np.uint8)) < 0.7 * fine_detail(few.images)
    assert fine_detail(np.full((2, 40, 64, 3), 90, np.uint8)) < 1e-12


# ------------------------------------------------------------------------------------------------------ what is done


def tiny(model: str, **settings: object) -> TrainConfig:
    config = train_config("smoke", model)
    small = replace(config.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
    return replace(
        config, **{"model": small, "batch": 4, "gan_steps": 3, "inversion_steps": 2, "log_every": 1, **settings}
    )


@pytest.fixture(scope="module")
def data(few: PairSet) -> TableData:
    """What every table here is trained and measured on; the real features are worked out once."""
    return TableData(few, None, None, DEFAULT_NAME, {"train": measured_by(few)})


@pytest.fixture(scope="module")
def finished(data: TableData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of one finished run, of SPADE-64."""
    out = tmp_path_factory.mktemp("finished")
    go(plan_table(out, [tiny("spade-64")], 1), data)
    return out


@pytest.fixture
def begun(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to go on with."""
    return shutil.copytree(finished, tmp_path / "begun")


def measured_by(pairs: PairSet, **how: object) -> Yardstick:
    judge = functools.cache(lambda: train_judge(pairs, 0, CPU, steps=10))
    return Yardstick(pairs, pairs, MeasureConfig(**{"runs": 2, "pictures": 20, **how}), CPU, judge)


def go(table: list[TableRun], data: TableData, **how: object) -> list[TableRun]:
    """The table at the end."""
    return [list(state) for state in fill_table(table, data, **how)][-1]


def test_runs_are_made_seed_by_seed_and_taken_over_the_next_time(tmp_path, data):
    table = plan_table(tmp_path, [tiny("spade-sr-32"), tiny("spade-64")], 2)
    assert [run.path.name for run in table] == [f"{m}-seed{k}" for k in (0, 1) for m in ("spade-sr-32", "spade-64")]

    first = [list(state) for state in fill_table(table, data)]
    assert [sum(run.state == "measured" for run in state) for state in first] == [1, 2, 3, 4]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = [list(state) for state in fill_table(table, data)]
    assert len(again) == 1
    assert [run.figures for run in again[0]] == [run.figures for run in first[-1]]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    assert first[-1][0].figures["train"]["mae"] != first[-1][2].figures["train"]["mae"]  # another seed


def test_a_run_is_measured_anew_when_its_weights_or_the_measure_change(tmp_path, begun, data, few):
    run = go(plan_table(begun, [tiny("spade-64")], 1), data)[0]
    assert data.yardsticks["train"].find(run.path) == run.figures["train"]
    assert measured_by(few, seed=1).find(run.path) is None
    other = go(plan_table(tmp_path / "b", [tiny("spade-64", seed=1, gan_steps=4)], 1), data)[0]
    (run.path / "generator.safetensors").write_bytes((other.path / "generator.safetensors").read_bytes())
    assert data.yardsticks["train"].find(run.path) is None


def test_a_stopped_table_goes_on_where_it_was(tmp_path, data):
    table = plan_table(tmp_path, [tiny("spade-sr-32"), tiny("spade-64")], 1)
    stop = threading.Event()

    def stop_early(done: int, total: int, note: str) -> None:
        assert (total, note.split(",")[0]) == (10, "spade-sr-32-seed0")
        if done == 2:
            stop.set()

    cut = go(table, data, stop=stop, on_progress=stop_early)
    assert [run.state for run in cut] == ["unfinished", "unfinished"]
    assert not (tmp_path / "runs/spade-64-seed0").exists()
    alone = go(plan_table(tmp_path / "alone", [tiny("spade-sr-32")], 1), data)
    assert go(table, data)[0].figures == alone[0].figures  # bit for bit what nothing interrupted


def test_a_regression_is_a_run_of_a_table_of_which_nothing_follows_a_source(tmp_path, few):
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int, note: str) -> None:
        told.append((done, total))
        assert note

    data = TableData(few, None, None, DEFAULT_NAME, {"train": measured_by(few, full=True)})
    table = plan_table(tmp_path, [tiny("regression-64"), tiny("spade-sr-64")], 1)
    runs = go(table, data, on_progress=tell)
    assert [run.state for run in runs] == ["measured", "measured"]
    assert [run.figures["train"]["control"] is None for run in runs] == [True, False]
    assert "warmth_error_c" not in tabulate(runs, "train")["baselines"]["regression-64"]
    assert {total for _, total in told} == {10}
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_without_training_only_finished_runs_are_in_the_table(begun, data):
    both = go(plan_table(begun, [tiny("spade-64"), tiny("spade-128")], 1), data, training=False)
    assert [run.state for run in both] == ["measured", "unfinished"]


def test_a_run_that_diverges_is_a_line_and_the_others_go_on(tmp_path, data):
    configs = [tiny("spade-64", loss_limit=1e-6), tiny("spade-128", loss_limit=1e-6)]
    table = go(plan_table(tmp_path, configs, 1), data)
    assert [run.state for run in table] == ["diverged", "diverged"]
    assert "at step 1 of the gan phase" in table[1].why
    assert tabulate(table, "train")["models"] == {}


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"gan_steps": 5}, "gan_steps = 3, not 5"), ({"lr_generator": 0.5}, "lr_generator = 0.001, not 0.5")],
)
def test_a_run_of_other_settings_is_refused_and_stands(begun, data, changed, says):
    before = (begun / "runs/spade-64-seed0/config.json").read_bytes()
    with pytest.raises(RunError, match=says):
        go(plan_table(begun, [tiny("spade-64", **changed)], 1), data)
    assert (begun / "runs/spade-64-seed0/config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("configs", "says"),
    [
        ([], "needs a model and a seed"),
        ([tiny("spade-64"), tiny("spade-64")], "named twice"),
        ([tiny("spade-64"), tiny("spade-128", gan_steps=9)], "equal budget"),
    ],
)
def test_a_table_that_compares_nothing_is_refused(tmp_path, configs, says):
    with pytest.raises(ConfigError, match=says):
        plan_table(tmp_path, configs, 1)


@pytest.mark.parametrize(("how", "says"), [({"runs": 0}, "--runs 1"), ({"pictures": 1}, "--pictures 2")])
def test_a_measure_of_nothing_is_refused(how, says):
    with pytest.raises(RunError, match=says):
        MeasureConfig(**how)
