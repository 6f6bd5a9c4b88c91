"""Make the run that ships with lrt, `twin`, of a run trained on the twin's dataset.

    python -m bench.twin_dataset ...                     # the dataset, see there
    lrt train DATASET --out RUN --preset smoke --gan-steps N --inversion-steps N --set ema=0.99 --set inversion_ema=0.99
    python -m bench.ship_run RUN DATASET --sheet sheet.png

It writes model/shipped/twin in place: the export in two forms, ONNX and a bundle, checked and measured on the test
split, and one source picture of each clothing and light, from the training split. The sheet shows what it draws of
heat that it never saw.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from lrt import write_whole
from lrt.dataset.loading import PairSet, load_pairs, normalise_heatmap
from lrt.model.drawer import SHIPPED_FOLDER, Drawer, load_drawer
from lrt.model.export import ExportConfig, export
from lrt.model.mark import encode_png
from lrt.model.pictures import paint_heat, sheet, write_png

RENDERED = "rendered by the digital twin of lrt: it shows nobody"
ALGORITHMIC = "algorithmicMedia"  # IPTC's term for what an algorithm made of no photographs
COLUMNS = 10
CANDIDATES = 150  # pictures of a clothing and a light among which its source is chosen
TRIALS, TRIAL_STEP = 8, 60  # heatmaps on which they are tried: every 60th of those with most of a person
WARMER_C = 2.0  # than a heatmap's median: a person is there


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ship_run", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED_FOLDER, help="(default: where lrt looks for it)")
    parser.add_argument("--sheet", type=Path, help="a PNG of what it draws of the test split")
    asked = parser.parse_args(list(arguments))
    trained, test = load_pairs(asked.dataset, "train"), load_pairs(asked.dataset, "test")
    if not trained.synthetic:
        sys.exit(f"{asked.dataset} shows people: what ships with lrt shows nobody")
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    card = export(asked.run, asked.out, ExportConfig(("onnx", "bundle")), measured_on=test)
    drawer = load_drawer(asked.out)
    write_sources(drawer, trained, asked.out / "sources")
    for form in card.forms:
        print(f"{form.format}: {form.bytes / 1e6:.2f} MB, parity {form.parity_max:.1e}, {form.accuracy}")
    if asked.sheet is not None:
        page = draw_sheet(drawer, trained, test)
        write_png(asked.sheet, page, "lrt, the run that ships; the rows 'drawn' are synthetic: a network drew them")


def write_sources(drawer: Drawer, pairs: PairSet, out: Path) -> None:
    """One picture of each clothing and light, named after both.

    Of those in which somebody takes most room, the one whose code carries its clothes furthest: people whom the run
    draws with it from other heat are nearest to that clothing's colour in that light.
    """
    out.mkdir()
    warm = pairs.heatmaps > np.median(pairs.heatmaps, axis=(1, 2), keepdims=True) + WARMER_C
    room = warm.sum(axis=(1, 2))
    trial = np.argsort(room)[-TRIALS * TRIAL_STEP :: TRIAL_STEP]
    for clothing, lighting in sorted(set(zip(pairs.clothing.tolist(), pairs.lighting.tolist(), strict=True))):
        name = f"{pairs.vocabulary.clothing[clothing]}-{pairs.vocabulary.lighting[lighting]}"
        frames = np.flatnonzero((pairs.clothing == clothing) & (pairs.lighting == lighting))
        large = frames[np.argsort(room[frames])[-CANDIDATES:]]
        wanted = _colour(pairs.images[large], warm[large]).mean(axis=0)
        off = [
            np.abs(_colour(drawer.picture(code[None], pairs.heatmaps[trial]), warm[trial]) - wanted).mean()
            for code in drawer.code(pairs.images[large])
        ]
        best = large[int(np.argmin(off))]
        write_whole(out / f"{name}.png", encode_png(pairs.images[best], RENDERED, ALGORITHMIC))


def _colour(pictures: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """(n, 3) mean colour of the people in pictures (n, 8h, 8w, 3), who stand where it is warm, (n, h, w) bool."""
    people = warm.repeat(8, axis=1).repeat(8, axis=2)[..., None]
    return (pictures * people).sum(axis=(1, 2)) / np.maximum(people.sum(axis=(1, 2)), 1)


def draw_sheet(drawer: Drawer, trained: PairSet, test: PairSet) -> np.ndarray:
    """Heat of the test split, what was there, and what is drawn: in its own clothes, and in others."""
    standing = np.flatnonzero(test.occupants > 0)
    frames = standing[np.linspace(0, len(standing) - 1, COLUMNS + 2).round().astype(int)[1:-1]]
    first = np.array([np.flatnonzero(test.clip == test.clip[frame])[0] for frame in frames])
    rows = [
        ("heat", paint_heat(normalise_heatmap(test.heatmaps[frames]), test.images.shape[1:3])),
        ("real", test.images[frames]),
        ("drawn, own clip", drawer.picture(drawer.code(test.images[first]), test.heatmaps[frames])),
    ]
    rng = np.random.default_rng(0)
    for clothing, lighting in ((1, 0), (3, 0), (0, 1)):
        found = np.flatnonzero(
            (trained.clothing == clothing) & (trained.lighting == lighting) & (trained.occupants > 0)
        )
        source = int(rng.choice(found))
        words = trained.vocabulary.clothing[clothing], trained.vocabulary.lighting[lighting]
        code = drawer.code(trained.images[source : source + 1])
        rows.append((f"drawn, {' '.join(words)}", drawer.picture(code, test.heatmaps[frames])))
    return sheet(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
