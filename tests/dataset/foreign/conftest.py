"""Datasets of rows made up, with values that are known, and no clips behind them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from lrt.dataset.info import DatasetInfo, PairErrors, write_info
from lrt.dataset.shard import Rows, write_shard
from lrt.dataset.tags import DEFAULT, Vocabulary

MS_NS = 1_000_000


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Path]:
    """`make_pairs(out)` -> a dataset of the twin's, of rows made up: clips a, b (train) and c (test), known values."""

    def make(
        out: Path,
        shape: tuple[int, int] = (5, 8),
        counts: Sequence[int] = (7, 5, 6),
        synthetic: bool = True,
        scope: str = "internal",
        vocabulary: Vocabulary = DEFAULT,
    ) -> Path:
        draw = np.random.default_rng(0)
        out.mkdir(parents=True)
        made = []
        for number, count in enumerate(counts):
            clip_id = "abcdefgh"[number]
            rows = Rows(
                clip_id=clip_id,
                images=draw.integers(0, 256, (count, 8 * shape[0], 8 * shape[1], 3), np.uint8),
                heatmap=draw.uniform(18.5, 30.5, (count, *shape)).astype(np.float32),
                heatmap_full=draw.uniform(18, 31, (count, 8, 8)).astype(np.float32),
                t_ns=np.arange(count) * 100 * MS_NS,
                dt_ms=draw.uniform(-20, 20, count).astype(np.float32),
                clothing=("red", vocabulary.clothing[-1], "white")[number % 3],
                lighting=("dim", "bright")[number % 2],
                occupants=int(number != 1),
                subject=f"S-{number:04x}",
                room="kitchen",
                tags=("window", "v2.1")[:number],
                synthetic=synthetic,
            )
            made.append(write_shard(out, rows, vocabulary))
        made[-1] = replace(made[-1], split="test")
        splits = {split: [clip.clip_id for clip in made if clip.split == split] for split in ("train", "test")}
        info = DatasetInfo(
            clips=tuple(made),
            heatmap_shape=shape,
            image_shape=(8 * shape[0], 8 * shape[1]),
            field_of_view_deg=(60.0, 37.5),
            view={"x": 0.0, "y": 20.0, "cell": 20.0},
            sensor="AMG8833 on I2C",
            camera="Raspberry Pi camera, 160x120",
            pair_errors=PairErrors(10.0, 19.0, 20.0, (-50.0, 0.0, 50.0), (sum(counts), 0)),
            calibration_id="",
            config={},
            synthetic=synthetic,
            versions={},
            named_splits={"default": splits},
            scope=scope,
            vocabulary=asdict(vocabulary),
        )
        write_info(info, out)
        return out

    return make


@pytest.fixture(scope="session")
def pair_folder(make_pairs: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of them, at the paper's size."""
    return make_pairs(tmp_path_factory.mktemp("pairs") / "twin")
