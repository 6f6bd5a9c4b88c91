"""The models of a table drawing the same things: sheets to look at where figures say too little."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..dataset.loading import PairSet, normalise_heatmap
from .control import of_different_clips
from .drawing import Painter
from .pictures import paint_heat, sheet, write_png

COLUMNS = 10


def draw_sheets(painters: Mapping[str, Painter], pairs: PairSet, out: Path, seed: int = 0) -> dict[str, Path]:
    """Write three sheets, a row for each model.

    Args:
        painters: model -> its run, ready to draw.
        pairs: of the split to draw from.
        out: the folder.
        seed: of what is shown; the same seed shows the same.

    Returns:
        `redrawn`: each heatmap with the code of another frame of its clip, the real picture below; `swapped`: with the
        code of a picture of another clip; `codes`: one heatmap with codes of nobody in particular.
    """
    rng = np.random.default_rng(seed)
    frames = of_different_clips(pairs, COLUMNS, rng)
    of_clip = np.array([rng.choice(np.flatnonzero(pairs.clip == pairs.clip[frame])) for frame in frames])
    people = np.flatnonzero(pairs.occupants > 0)
    one = np.full(COLUMNS, rng.choice(people) if len(people) else frames[0])
    shape = pairs.images.shape[1:3]
    heat = {"frames": frames, "one": one}
    heat = {name: paint_heat(normalise_heatmap(pairs.heatmaps[chosen]), shape) for name, chosen in heat.items()}

    def by_source(sources: np.ndarray) -> list[tuple[str, np.ndarray]]:
        return [
            (name, painter.picture(painter.code(pairs.images[sources]), pairs.heatmaps[frames]))
            for name, painter in painters.items()
        ]

    others = np.roll(frames, 1)  # of different clips wherever there are two
    sheets = {
        "redrawn": [
            ("source", pairs.images[of_clip]),
            ("heatmap", heat["frames"]),
            *by_source(of_clip),
            ("real", pairs.images[frames]),
        ],
        "swapped": [("source", pairs.images[others]), ("heatmap", heat["frames"]), *by_source(others)],
        "codes": [
            ("heatmap", heat["one"]),
            *(
                (name, painter.picture(painter.noise(COLUMNS, seed), pairs.heatmaps[one]))
                for name, painter in painters.items()
            ),
        ],
    }
    written = {}
    for name, rows in sheets.items():
        written[name] = out / f"{name}.png"
        write_png(written[name], sheet(rows), f"lrt table, {name}; rows named after a model are synthetic")
    return written
