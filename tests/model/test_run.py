"""A run that is killed, stopped, starved of disk or handed somebody else's checkpoint loses nothing."""

import json
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from lrt.dataset.loading import PairSet
from lrt.model import events
from lrt.model.config import ModelConfig, train_config
from lrt.model.heldout import HeldOut
from lrt.model.record import hash_code
from lrt.model.run import EVENTS, Run, RunError
from lrt.model.train import RunSummary, TrainError, train

_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(
    _SMOKE, model=SMALL, batch=4, gan_steps=8, inversion_steps=6, log_every=2, sample_every=100, checkpoint_every_s=0
)
LONG = replace(TINY, gan_steps=18, inversion_steps=18, sample_every=10)

# A process of its own, so that it can be killed: argv is the pairs' file, the run folder, and `resume` or nothing.
CHILD = """
import json, sys
from pathlib import Path
import torch
from lrt.console.stopping import stop_on_signal
from lrt.dataset.loading import PairSet
from lrt.model.config import TrainConfig
from lrt.model.train import train
torch.set_num_threads(1)
saved = torch.load(sys.argv[1], weights_only=False)
with stop_on_signal() as stop:
    done = train(
        PairSet(**saved["pairs"]), Path(sys.argv[2]), TrainConfig.from_json(saved["config"]), "resume" in sys.argv[3:],
        held_out=PairSet(**saved["held_out"]), stop=stop,
    )
print(json.dumps({"finished": done.finished, "steps": done.gan_steps + done.inversion_steps}))
"""


@pytest.fixture(scope="module")
def others(make_pairs: Callable[..., PairSet]) -> PairSet:
    """Clips that are not trained on."""
    return make_pairs(2, 6, seed=9)


def curve(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def tensors(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {file.stem: safetensors.torch.load_file(file) for file in sorted(run.glob("*.safetensors"))}


def assert_same_run(first: Path, second: Path) -> None:
    assert curve(first) == curve(second)
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    for name, network in ours.items():
        assert all(torch.equal(value, theirs[name][key]) for key, value in network.items()), name
    for sheet in (first / "samples").iterdir():
        assert sheet.read_bytes() == (second / "samples" / sheet.name).read_bytes()


def after(steps: int) -> tuple[threading.Event, Callable[[object], None]]:
    """A stop event, and a progress callback that sets it after so many steps."""
    stop, seen = threading.Event(), []

    def count(progress: object) -> None:
        seen.append(progress)
        if len(seen) == steps:
            stop.set()

    return stop, count


def stopped(pairs: PairSet, out: Path, steps: int, **options: object) -> RunSummary:
    stop, count = after(steps)
    return train(pairs, out, TINY, stop=stop, on_progress=count, **options)


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder / "pairs.pt"), str(folder / "killed"), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(process: subprocess.Popen[str], run: Path, count: int) -> None:
    """Until the curve has so many lines; at whatever step the process then is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= count:
            return
        time.sleep(0.003)
    process.kill()
    raise AssertionError(process.communicate())


def test_killed_with_sigkill_then_with_sigterm_a_run_ends_with_the_uninterrupted_curve(
    tmp_path: Path, few: PairSet, others: PairSet
):
    """A real child process dies in the GAN phase; the next is asked to stop in the inversion phase; a third ends it."""
    torch.save({"config": LONG.to_json(), "pairs": vars(few), "held_out": vars(others)}, tmp_path / "pairs.pt")
    run = tmp_path / "killed"
    with start(tmp_path) as first:
        wait_for_lines(first, run, 4)
        first.send_signal(signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL
    assert not list(run.glob("generator*"))

    with start(tmp_path, "resume") as second:
        wait_for_lines(second, run, 12)
        second.send_signal(signal.SIGTERM)
        out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert json.loads(out)["finished"] is False
    assert 18 < json.loads(out)["steps"] < 36

    rest = train(few, run, LONG, resume=True, held_out=others)
    whole = train(few, tmp_path / "whole", LONG, held_out=others)
    assert rest.finished
    assert rest.best_step == whole.best_step
    assert_same_run(whole.run, run)
    assert not list(run.rglob(".*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few: PairSet, others: PairSet) -> RunSummary:
    """A run that nothing interrupted."""
    return train(few, tmp_path_factory.mktemp("runs") / "whole", TINY, held_out=others)


@pytest.mark.parametrize("cut", [1, 8, 11])
def test_stopped_at_any_step_the_curve_goes_on_as_if_it_had_not(
    tmp_path: Path, few: PairSet, others: PairSet, whole: RunSummary, cut: int
):
    stopped(few, tmp_path / "cut", cut, held_out=others)
    train(few, tmp_path / "cut", TINY, resume=True, held_out=others)
    assert_same_run(whole.run, tmp_path / "cut")


def test_a_full_disk_keeps_the_checkpoint_before_it(tmp_path: Path, few: PairSet, others: PairSet, whole: RunSummary):
    stopped(few, tmp_path / "run", 3, held_out=others)
    checkpoint = tmp_path / "run/checkpoint.pt"
    before = checkpoint.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (len(before) // 2, limits[1])
    )  # no file may grow beyond: as on a full disk
    try:
        with pytest.raises(
            RunError, match=r"cannot write .*checkpoint\.pt: .*; the last checkpoint stands; make room, then go on with"
        ):
            train(few, tmp_path / "run", TINY, resume=True, held_out=others)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.read_bytes() == before
    assert not list((tmp_path / "run").glob(".*"))

    train(few, tmp_path / "run", TINY, resume=True, held_out=others)
    assert_same_run(whole.run, tmp_path / "run")


class Malice:
    """Unpickled, it would make a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return Path.touch, (self.made,)


def test_a_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path: Path, few: PairSet):
    stopped(few, tmp_path / "run", 2)
    malice = Malice(tmp_path / "made")
    whole = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    for evil in (
        lambda path: torch.save({**whole, "more": malice}, path),
        lambda path: path.write_bytes(pickle.dumps(malice)),
    ):
        evil(tmp_path / "run/checkpoint.pt")
        with pytest.raises(RunError, match=r"checkpoint\.pt is damaged, or holds code, which is not run; delete it"):
            train(few, tmp_path / "run", TINY, resume=True)
        assert not (tmp_path / "made").exists()
    pickle.loads(pickle.dumps(malice))
    assert (tmp_path / "made").exists(), "the malice is real"


@pytest.mark.parametrize("changed", [{"width": 6}, {"self_resampling": False}], ids=["wider", "SPADE"])
def test_a_checkpoint_of_another_model_is_refused_and_the_curve_stays(tmp_path: Path, few: PairSet, changed: dict):
    run, other = tmp_path / "run", tmp_path / "other"
    stopped(few, run, 4)
    before = curve(run)
    model: ModelConfig = replace(SMALL, **changed)
    stop, count = after(2)
    train(few, other, replace(TINY, model=model), stop=stop, on_progress=count)
    (run / "checkpoint.pt").write_bytes((other / "checkpoint.pt").read_bytes())
    with pytest.raises(RunError, match=r"checkpoint\.pt is of other networks than spade-sr-64 as this run's config"):
        train(few, run, TINY, resume=True)
    assert curve(run) == before


def test_what_is_no_checkpoint_is_named(tmp_path: Path, few: PairSet):
    stopped(few, tmp_path / "run", 2)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "run/checkpoint.pt")
    with pytest.raises(RunError, match=r"checkpoint\.pt is no checkpoint of a training"):
        train(few, tmp_path / "run", TINY, resume=True)


def test_a_loss_beyond_the_limit_has_diverged(tmp_path: Path, few: PairSet):
    stopped(few, tmp_path / "run", 2)
    run = Run.open(tmp_path / "run")
    wild = run.load_checkpoint()
    assert wild is not None
    wild["state"]["discriminator"]["realness.bias"] += 1e6
    run.save_checkpoint(wild)
    before = (tmp_path / "run/checkpoint.pt").read_bytes()
    with pytest.raises(
        TrainError, match=r"d_adversarial is \S+ at step 4 of the gan phase; the checkpoint of gan step 2"
    ):
        train(few, tmp_path / "run", TINY, resume=True)
    assert (tmp_path / "run/checkpoint.pt").read_bytes() == before


def test_weights_that_are_no_numbers_are_not_kept_though_the_loss_was_one(
    tmp_path: Path, few: PairSet, monkeypatch: pytest.MonkeyPatch
):
    from lrt.model.phases import GanPhase

    step = GanPhase.step

    def ruin(self: GanPhase, *given: object) -> torch.Tensor:
        found = step(self, *given)
        with torch.no_grad():
            next(self.G.parameters()).fill_(float("inf"))
        return found

    stopped(few, tmp_path / "run", 2)
    before = (tmp_path / "run/checkpoint.pt").read_bytes()
    monkeypatch.setattr(GanPhase, "step", ruin)
    stop, count = after(1)
    with pytest.raises(
        TrainError, match=r"generator\S* is no number any more at step 3 of the gan phase; the checkpoint"
    ):
        train(few, tmp_path / "run", TINY, resume=True, stop=stop, on_progress=count)
    assert (tmp_path / "run/checkpoint.pt").read_bytes() == before


def test_heat_that_is_no_number_is_refused_by_clip_and_frame(tmp_path: Path, few: PairSet):
    heatmaps = few.heatmaps.copy()
    heatmaps[10, 2, 3], heatmaps[11, 0, 0] = np.nan, np.inf
    bad = replace(few, heatmaps=heatmaps)
    with pytest.raises(TrainError, match="2 of 24 heatmaps hold no numbers, the first in clip clip-1, frame 2"):
        train(bad, tmp_path / "run", TINY)
    with pytest.raises(TrainError, match="hold no numbers"):
        train(few, tmp_path / "run", TINY, held_out=bad)
    assert not (tmp_path / "run").exists()


def test_the_best_step_is_the_one_with_the_least_error_on_held_out_pairs(whole: RunSummary):
    errors = {
        line["step"]: line["metrics"]["held_out_reconstruction"]
        for line in curve(whole.run)
        if line["phase"] == "inversion"
    }
    assert list(errors) == [2, 4, 6]
    assert whole.best_step == min(errors, key=errors.__getitem__)
    with safetensors.safe_open(whole.run / "inversion-best.safetensors", "pt") as best:
        assert best.metadata()["step"] == str(whole.best_step)
        assert float(best.metadata()["held_out_reconstruction"]) == errors[whole.best_step]


def test_held_out_error_is_that_of_the_averages(others: PairSet, whole: RunSummary):
    """The last line's error is found again from the exported weights."""
    from lrt.model.drawing import Painter

    painter = Painter(whole.run, torch.device("cpu"))
    drawn = painter.draw(painter.code(others.images), others.heatmaps)
    by_hand = 2 * np.abs(drawn - others.images / 255).mean()
    assert curve(whole.run)[-1]["metrics"]["held_out_reconstruction"] == pytest.approx(by_hand, rel=1e-4)
    assert len(HeldOut(others, torch.device("cpu")).images) == 12


def test_the_live_weights_are_kept_beside_the_averages(whole: RunSummary):
    run = whole.run
    kept = tensors(run)
    assert sorted(kept) == [
        *("discriminator", "discriminator-last", "generator", "generator-last"),
        *("inversion", "inversion-best", "inversion-last"),
    ]
    checkpoint = Run.open(run).load_checkpoint()
    assert checkpoint is not None
    assert all(
        torch.equal(value, kept["inversion-last"][key]) for key, value in checkpoint["state"]["inversion"].items()
    )
    assert not torch.equal(kept["generator"]["start.weight"], kept["generator-last"]["start.weight"])


def test_the_card_says_what_the_run_is_and_is_not(tmp_path: Path, few: PairSet, whole: RunSummary):
    card, record = (whole.run / "README.md").read_text(), Run.open(whole.run).record
    for said in (
        "# spade-sr-64, preset smoke",
        "A twin made some or all of this data: no figure of this run is about people",
        f"SHA-256 `{record.data_sha256}`",
        f"code SHA-256 `{record.code_sha256}`",
        "Every picture it draws is synthetic",
        "held out: 12 pairs of 2 clips",
        f"8 of 8 GAN, 6 of 6 inversion, the best of them by held-out error at step {whole.best_step}; batch 4",
        "| `batch` | 256 | 4 |",
        "Training finished",
    ):
        assert said in card
    assert record.code_sha256 == hash_code()
    assert whole.notes == ()
    real = stopped(replace(few, synthetic=False), tmp_path / "real", 2)
    said = (real.run / "README.md").read_text()
    assert "The weights may remember the faces" in said
    assert "Training not finished" in said


def test_what_a_reader_must_know_of_a_run_is_noted(tmp_path: Path, make_pairs: Callable[..., PairSet]):
    pairs = make_pairs(1, 8)
    stopped(pairs, tmp_path / "run", 2)
    config = json.loads((tmp_path / "run/config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps(config | {"code_sha256": "0" * 64}))
    notes = train(pairs, tmp_path / "run", TINY, resume=True).notes
    assert [note.split(":")[0] for note in notes] == [
        "all pairs are of one clip",
        "the dataset has no test split",
        "lrt's code or PyTorch changed since the run began",
    ]


def test_progress_tells_the_time_left(tmp_path: Path, few: PairSet):
    seen = []
    train(few, tmp_path / "run", TINY, on_progress=seen.append)
    assert len(seen) == 14
    assert all(progress.seconds_left > 0 for progress in seen[:-1])
    assert seen[-1].seconds_left == 0


def test_half_a_line_of_the_curve_is_passed_over_wherever_it_was_cut(tmp_path: Path, few: PairSet):
    stopped(few, tmp_path / "run", 4)
    run = Run.open(tmp_path / "run")
    whole = run.metrics()
    file = tmp_path / "run/metrics.jsonl"
    text = file.read_text()
    last = text.splitlines()[-1]
    for cut in (1, len(last) // 2, len(last) - 1):  # the last of them ends with a brace too
        file.write_text(text + last[:cut])
        assert run.metrics() == whole


def read_events(content: bytes) -> list[dict]:
    """The scalars, with Google's protobuf and our own idea of the framing."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto2")
    for name, members in {
        "Value": [("tag", 1, 9, ""), ("simple_value", 2, 2, "")],
        "Summary": [("value", 1, 11, ".t.Value")],
        "Event": [
            ("wall_time", 1, 1, ""),
            ("step", 2, 3, ""),
            ("file_version", 3, 9, ""),
            ("summary", 5, 11, ".t.Summary"),
        ],
    }.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in members:
            label = 3 if field == "value" else 1
            message.field.add(name=field, number=number, type=kind, label=label, type_name=of or None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    event = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))
    found, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        found.append(event.FromString(content[at + 12 : at + 12 + length]))
        at += 12 + length + 4
    return found


def test_tensorboard_reads_the_very_curve(tmp_path: Path, few: PairSet):
    stopped(few, tmp_path / "run", 5)
    train(few, tmp_path / "run", TINY, resume=True)
    head, *rest = read_events((tmp_path / "run" / EVENTS).read_bytes())
    assert head.file_version == "brain.Event:2"
    assert [event.step for event in rest] == [line["step"] for line in curve(tmp_path / "run")]
    for event, line in zip(rest, curve(tmp_path / "run"), strict=True):
        said = {value.tag: value.simple_value for value in event.summary.value}
        expected = {f"{line['phase']}/{name}": value for name, value in line["metrics"].items()}
        assert said == pytest.approx(expected, rel=1e-6)


def test_the_checksum_is_crc_32c_masked():
    """RFC 3720, B.4: 32 bytes of zeros have 0x8A9136AA."""
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert int.from_bytes(events._checksum(bytes(32)), "little") == masked
