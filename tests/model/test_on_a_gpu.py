"""On a CUDA device: `pytest -m gpu`. Nothing here was run without one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lrt.model.config import train_config
from lrt.model.train import train

pytestmark = pytest.mark.gpu


def test_a_gpu_trains_as_the_cpu_does(tmp_path: Path, few):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    config = replace(train_config("smoke"), batch=4, gan_steps=5, inversion_steps=2, log_every=1)

    on_cpu = train(few, tmp_path / "cpu", config, device="cpu").metrics
    on_gpu = train(few, tmp_path / "gpu", config, device="cuda").metrics

    for phase, metrics in on_cpu.items():
        assert on_gpu[phase] == pytest.approx(metrics, rel=0.05, abs=0.02)
