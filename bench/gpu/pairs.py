"""Pairs to train on, straight from the twin: its scene as the camera sees it, and as the sensor does.

No clip is recorded and none calibrated: every heatmap gets the picture of its very instant, cut by the true geometry.
So these pairs are a little better than a rig's. The plan is LRT-Human's (Table 2): as many pairs, every shirt in both
lights, some takes of each; one room and one person, of rig 0.

A clip is a file of its own, so that what was drawn before a stop is not drawn again.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from lrt import write_whole
from lrt.calibration.geometry import Calibration, View, find_view
from lrt.dataset.loading import PairSet
from lrt.dataset.tags import CLOTHING, LIGHTING
from lrt.rig.twin.rig import Twin, open_twin

PAIRS, CLIPS = 21_959, 100  # as many pairs as LRT-Human has
SIZE = (320, 180)  # of the camera's picture: five of its pixels or more go into one of the pair's
FIRST_FRAME = 20  # of the sensor: the people have walked in
CALIBRATED_AT_M = 2.0  # sensor and camera agree at one distance only; a rig is calibrated for the middle of the room


@dataclass(frozen=True)
class Take:
    """One clip to draw.

    Attributes:
        clip_id: its name, from which all that happens in it follows.
        clothing, lighting: its tags.
        frames: pairs.
    """

    clip_id: str
    clothing: str
    lighting: str
    frames: int


def plan_takes(pairs: int = PAIRS, clips: int = CLIPS, prefix: str = "train") -> list[Take]:
    """So many clips with so many pairs in all, every shirt in both lights in turn, their lengths even."""
    settings = [(clothing, lighting) for clothing in CLOTHING for lighting in LIGHTING]
    return [
        Take(f"{prefix}-{clip}", *settings[clip % len(settings)], pairs // clips + (clip < pairs % clips))
        for clip in range(clips)
    ]


def draw_takes(
    takes: Sequence[Take], folder: Path, jobs: int | None = None, on_clip: Callable[[int], None] | None = None
) -> PairSet:
    """The pairs of the takes; those that lie in the folder already are read.

    Args:
        takes: the clips.
        folder: one `<clip id>-<frames>.npz` of each goes there.
        jobs: processes; None: as many as there are cores.
        on_clip: called with the number of clips that are there, after each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [take for take in takes if not _path(take, folder).exists()]
    if missing:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")  # of the processes to come: one a core is enough
        # spawned, not forked: this process may hold a GPU
        with ProcessPoolExecutor(jobs or os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            for done, _ in enumerate(pool.map(draw_clip, missing, [folder] * len(missing)), 1):
                if on_clip is not None:
                    on_clip(len(takes) - len(missing) + done)
    drawn = [np.load(_path(take, folder)) for take in takes]
    lengths = [take.frames for take in takes]
    repeat = np.arange(len(takes), dtype=np.int32).repeat(lengths)
    return PairSet(
        images=np.concatenate([each["images"] for each in drawn]),
        heatmaps=np.concatenate([each["heatmaps"] for each in drawn]),
        clip=repeat,
        frame=np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
        clothing=np.array([CLOTHING.index(take.clothing) for take in takes], np.int16)[repeat],
        lighting=np.array([LIGHTING.index(take.lighting) for take in takes], np.int16)[repeat],
        occupants=np.ones(len(repeat), np.int16),
        clip_ids=tuple(take.clip_id for take in takes),
        subjects=("twin",) * len(takes),
        rooms=("twin",) * len(takes),
        tags=((),) * len(takes),
        synthetic=True,
    )


def draw_clip(take: Take, folder: Path) -> None:
    """Draw one clip into the folder: images (N, 40, 64, 3) uint8, RGB, and heatmaps (N, 5, 8) float32, degC."""
    cv2.setNumThreads(1)
    twin = open_twin(take.clothing, take.lighting, 1, take.clip_id, SIZE)
    view = true_view(twin)
    images, heatmaps = [], []
    for frame in range(FIRST_FRAME, FIRST_FRAME + take.frames):
        heatmaps.append(view.sample_heatmap(twin.i2c.measure(frame) / 4))
        middle_ns = twin.i2c.frame_ns(frame) - twin.opened_ns - twin.i2c.settings.period_ns // 2
        images.append(view.crop_image(twin.scene.look(middle_ns / 1e9).image))
    buffer = BytesIO()
    np.savez_compressed(buffer, images=np.stack(images), heatmaps=np.stack(heatmaps))
    write_whole(_path(take, folder), buffer.getvalue())


def true_view(twin: Twin) -> View:
    """What heat and picture are cut to, where a calibration without fault would have it."""
    tx, ty, s = twin.scene.true_geometry(CALIBRATED_AT_M)
    exact = {f"{name}_sd": 0.0 for name in ("tx", "ty", "s", "offset_ms")}
    return find_view(
        Calibration(
            tx, ty, s, 0.0, **exact, image_size=SIZE, score=1.0, overlap=1.0, verdict="PASS", advice="",
            masks="the twin's truth", frames=0, synthetic=True,
        )
    )  # fmt: skip


def _path(take: Take, folder: Path) -> Path:
    return folder / f"{take.clip_id}-{take.frames}.npz"
