"""Several processes train one model as one would; whatever happens to one of them, all end and nothing is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from lrt.dataset.loading import PairSet
from lrt.model.batch_norm import WholeBatchNorm, normalise_whole_batch
from lrt.model.config import train_config
from lrt.model.inversion import CodeNorm
from lrt.model.networks import build_networks
from lrt.model.ranks import ALONE, TORCHRUN, RankError, Ranks, join_ranks
from lrt.model.run import Run
from lrt.model.train import train

ROOT = Path(__file__).parents[2]
_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
LONG = replace(
    _SMOKE, model=SMALL, batch=4, gan_steps=120, inversion_steps=4, log_every=2, sample_every=500, checkpoint_every_s=0
)

# One of the processes: argv is the pairs' file, the run folder, and `resume` or nothing.
RANK = """
import sys
from pathlib import Path
import torch
from lrt import LrtError
from lrt.console.stopping import stop_on_signal
from lrt.dataset.loading import PairSet
from lrt.model.config import TrainConfig
from lrt.model.ranks import join_ranks
from lrt.model.train import train
torch.set_num_threads(1)
saved = torch.load(sys.argv[1], weights_only=False)
config = TrainConfig.from_json(saved["config"])
try:
    with stop_on_signal() as stop, join_ranks("cpu") as ranks:
        pairs = PairSet(**saved["pairs"])
        done = train(pairs, Path(sys.argv[2]), config, "resume" in sys.argv[3:], stop=stop, ranks=ranks)
except LrtError as error:
    sys.exit(f"lrt: {error}")
print(done.gan_steps)
"""


@pytest.fixture
def start(tmp_path: Path, few: PairSet):
    """`start()`: two processes that train together, as torchrun starts them; killed when the test is over."""
    torch.save({"config": LONG.to_json(), "pairs": vars(few)}, tmp_path / "pairs.pt")
    started: list[subprocess.Popen[str]] = []

    def start_both(*more: str) -> list[subprocess.Popen[str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(2):
            told = (str(rank), "2", "127.0.0.1", str(port))
            command = [sys.executable, "-c", RANK, str(tmp_path / "pairs.pt"), str(tmp_path / "run"), *more]
            environment = os.environ | dict(zip(TORCHRUN, told, strict=True))
            both = subprocess.PIPE
            started.append(subprocess.Popen(command, env=environment, stdout=both, stderr=both, text=True))
        return started[-2:]

    yield start_both
    for process in started:
        process.kill()
        process.communicate()


def wait_for_lines(processes: list[subprocess.Popen[str]], run: Path, count: int) -> None:
    """Until the curve has so many lines."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= count:
            return
        time.sleep(0.01)
    raise AssertionError([process.communicate() for process in processes if process.poll() is not None])


def test_a_step_of_two_processes_is_one_process_step():
    """Each weight's gradient, every loss, and the running statistics."""
    command = [sys.executable, "-m", "bench.ddp", "--preset", "smoke", "--batch", "4", "--json"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout)
    assert report["ddp_gradient_error"] < 1e-10
    assert report["ddp_loss_error"] < 1e-5
    assert report["ddp_statistics_error"] < 1e-5


def test_a_signal_to_one_process_stops_both_and_one_process_ends_the_run(tmp_path: Path, few: PairSet, start):
    run = tmp_path / "run"
    both = start()
    wait_for_lines(both, run, 3)
    both[1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=90) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    steps = {int(out) for out, _ in outputs}
    assert len(steps) == 1  # both stopped at the same
    checkpoint = Run.open(run).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == steps.pop() < LONG.gan_steps

    rest = train(few, run, LONG, resume=True)
    assert rest.finished
    lines = [(line["phase"], line["step"]) for line in Run.open(run).metrics()]
    assert lines == [("gan", step) for step in range(2, 121, 2)] + [("inversion", 2), ("inversion", 4)]


def test_a_process_that_dies_ends_the_other_with_one_line_and_the_checkpoint_stands(tmp_path: Path, start):
    run = tmp_path / "run"
    first, second = start()
    wait_for_lines([first, second], run, 3)
    second.kill()
    _, err = first.communicate(timeout=90)
    assert first.returncode == 1
    assert err.splitlines() == [
        "lrt: another process of this training ended, or is out of reach; the last checkpoint stands: go on with "
        "--resume, with as many processes as you like"
    ]
    checkpoint = Run.open(run).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] >= 4


def test_what_stops_all_processes_is_said_once(tmp_path: Path, few: PairSet, start):
    train(few, tmp_path / "run", replace(LONG, gan_steps=1, inversion_steps=1))
    before = (tmp_path / "run/checkpoint.pt").read_bytes()
    both = start()
    said = [process.communicate(timeout=90)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert said == [
        f"lrt: {tmp_path / 'run'} holds a run already; add --resume to go on with it, or give another --out\n",
        "",
    ]
    assert (tmp_path / "run/checkpoint.pt").read_bytes() == before


def test_a_batch_that_does_not_divide_is_refused_in_one_line(tmp_path: Path, few: PairSet):
    with pytest.raises(RankError, match="a batch of 5 does not divide among 2 processes; give --batch 6, or another"):
        train(few, tmp_path / "run", replace(LONG, batch=5), ranks=Ranks(0, 2))
    assert not (tmp_path / "run").exists()


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    with join_ranks("cpu") as ranks:
        assert ranks == ALONE
    monkeypatch.setenv("WORLD_SIZE", "4")  # as a cluster may have it, for something else
    with join_ranks("cpu") as ranks:
        assert ranks == ALONE


def test_processes_that_cannot_find_each_other_say_so_in_one_line(monkeypatch: pytest.MonkeyPatch):
    for name, value in zip(TORCHRUN, ("two", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(RankError, match=r"the processes cannot find each other: .*two"), join_ranks("cpu"):
        pytest.fail("joined")


def test_shares_put_together_are_the_batch_in_its_order():
    batch = torch.arange(6)
    assert torch.equal(torch.cat([Ranks(rank, 3).share(batch) for rank in range(3)]), batch)


@pytest.fixture
def group(tmp_path: Path):
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm2d(3, eps=1e-3, momentum=0.1, affine=False), (4, 3, 2, 5)),
        (nn.BatchNorm2d(3, eps=1e-3, momentum=0.1), (4, 3, 2, 5)),
        (CodeNorm(3, eps=1e-3, momentum=0.1), (4, 3)),
    ],
    ids=["maps", "maps, scaled", "codes"],
)
def test_whole_batch_normalisation_of_one_process_is_the_layer_it_replaces(layer: nn.Module, shape: tuple[int, ...]):
    """Outputs, gradients and running statistics, in training and after it."""
    layer.double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    outside = nn.Sequential(layer)
    whole = nn.Sequential(type(layer)(3, eps=1e-3, momentum=0.1, affine=layer.affine).double())
    whole.load_state_dict(outside.state_dict())
    normalise_whole_batch(whole, Ranks(0, 2))
    assert isinstance(whole[0], WholeBatchNorm)
    assert list(whole.state_dict()) == list(outside.state_dict())
    x, weights = 3 + 2 * torch.randn(shape, dtype=torch.double), torch.randn(shape, dtype=torch.double)
    for _ in range(2):
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [network(one) for network, one in zip((outside, whole), inputs, strict=True)]
        for output in outputs:
            (output * weights).sum().backward()
        torch.testing.assert_close(outputs[1], outputs[0])
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    torch.testing.assert_close(whole.state_dict(), outside.state_dict())
    for a, b in zip(whole.parameters(), outside.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    torch.testing.assert_close(whole.eval()(x), outside.eval()(x))


def test_alone_the_layers_stay_as_they_are():
    generator = build_networks(SMALL, 0).generator
    before = list(generator.modules())
    normalise_whole_batch(generator, ALONE)
    assert list(generator.modules()) == before
