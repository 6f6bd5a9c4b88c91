"""What the demo's page says and shows of each stage."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import pictures
from .page import Picture, Stage, draw_curves
from .results import PAIR_GAP_MS

HERO_COLUMNS = 7
WELL_IN_VIEW_C = 2.0  # the warmest tenth of the cells above the median cell


def describe(
    out: Path,
    gan_steps: int,
    took: dict[str, float],
    recorded: Sequence[dict[str, Any]],
    fit: dict[str, Any],
    truth: dict[str, float],
    built: dict[str, Any],
    measured: dict[str, Any],
    drawn: dict[str, Any],
) -> list[Stage]:
    """What the page says of each stage."""
    frames = _draw_frames(out)
    sheet = _draw_dataset(out)
    curves = _draw_losses(out)
    samples = max((out / "run/samples").glob("gan-*.png"))
    return [
        Stage(
            "capture",
            "Record",
            f"{len(recorded)} clips, five shirts in two lights, two of the clips kept from training. The real Adafruit "
            "driver read the registers of an AMG8833 on a faked I2C bus, the twin's camera gave the frames, and both "
            "were stamped on one clock.",
            "lrt capture --clip-id red-bright-1 --clothing red --lighting bright --consent TWIN --rig twin",
            took["capture"],
            [
                ("heatmaps", f"{sum(clip['heatmaps'] for clip in recorded):,}"),
                ("images", f"{sum(clip['images'] for clip in recorded):,}"),
                ("reads that tore and were read again", str(sum(clip["torn"] for clip in recorded))),
                ("heatmaps missed, images dropped", f"{sum(clip['missed'] + clip['dropped'] for clip in recorded)}"),
                ("pair error, median", f"{np.median([clip['pair_error_ms_p50'] for clip in recorded]):.1f} ms"),
            ],
            [Picture(frames, "One frame of a clip in each light, and the 8x8 heatmap that goes with it.")],
        ),
        Stage(
            "calibrate",
            "Calibrate",
            "A small Mask R-CNN, trained on the twin and shipped with lrt, found the person in chosen frames, and the "
            "fit laid the heat over those masks. On a real rig torchvision's own Mask R-CNN finds the person.",
            "lrt calibrate clips/* --masks small --out calibration.json",
            took["calibrate"],
            [
                ("tx", f"{fit['tx']:.1f} +- {fit['tx_sd']:.1f} px (true {truth['tx']:.1f})"),
                ("ty", f"{fit['ty']:.1f} +- {fit['ty_sd']:.1f} px (true {truth['ty']:.1f})"),
                ("one thermal pixel", f"{fit['s']:.2f} +- {fit['s_sd']:.2f} px (true {truth['s']:.2f})"),
                ("overlap of warm region and person", f"{fit['overlap']:.2f}"),
                ("verdict", f"{fit['verdict']} {fit['advice']}"),
            ],
            [Picture(Path(fit["picture"]), "Heat over the image, before and after the fit.")],
        ),
        Stage(
            "build-dataset",
            "Build the dataset",
            "Image and heatmap cut to the view that both share, 64x40 and 8x5 as in the paper, paired, tagged and "
            "split by clip. It opens with datasets.load_dataset.",
            "lrt build-dataset clips/* --calibration calibration.json --out dataset",
            took["build-dataset"],
            [
                ("pairs", f"{built['pairs']:,}"),
                *((f"in the {name} split", f"{count:,}") for name, count in built["splits"].items()),
                *((f"left out: {reason}", f"{count:,}") for reason, count in built["left_out"].items()),
            ],
            [Picture(sheet, "Pairs of each clip: the picture, and the heat that the network will see.")],
        ),
        Stage(
            "train",
            "Train",
            f"SPADE-SR in its smallest form, its GAN phase {gan_steps:,} steps long. The published network has 12.9 "
            "million weights; --preset authors trains it, on a GPU.",
            f"lrt train dataset --out run --preset smoke --gan-steps {gan_steps}",
            took["train"],
            (),
            [
                Picture(
                    curves, "Losses of the GAN phase: how well D tells real from drawn, and how well it reads the heat."
                ),
                Picture(
                    samples, "From the top: heat, the real image, D's reading of it, the drawn image, D's reading."
                ),
            ],
        ),
        Stage(
            "evaluate",
            "Measure",
            "On the two clips kept from training: one source picture gives the code, every heatmap of the clip is "
            "drawn with it, and the mean absolute error is taken; ten times over.",
            "lrt evaluate run --data dataset --split test",
            took["evaluate"],
            [
                ("reconstruction error, 0..1", f"{measured['mae']:.4f}"),
                ("heat-image correlation of drawn pictures", f"{measured['heat_image_correlation']:.2f}"),
                ("the same of real pictures: the ceiling", f"{measured['heat_image_correlation_real']:.2f}"),
                ("the same with heatmaps shuffled: the floor", f"{measured['heat_image_correlation_shuffled']:.2f}"),
            ],
            [
                Picture(
                    out / "run/evaluation/grid.png",
                    "Sources across the top, heatmaps down the side: clothing and light should follow the column, "
                    "position and pose the row.",
                ),
                Picture(
                    out / "run/evaluation/curves.png",
                    "Clips redrawn with one code each, and their error frame by frame; the source frame is marked.",
                ),
            ],
        ),
        Stage(
            "synthesise",
            "Draw from heat alone",
            "A clip the network never saw, drawn from its heatmaps and one source picture that lends clothing and "
            "light. The clip's own images stayed closed.",
            "lrt synthesise run --heatmaps clips/blue-bright-again --source source.png --out drawn",
            took["synthesise"],
            [("pictures", str(drawn["pictures"]))],
            [
                Picture(Path(drawn["source"]), "The source picture."),
                Picture(Path(drawn["video"]), "Heat, and the picture drawn from it."),
            ],
        ),
    ]


def _draw_frames(out: Path) -> Path:
    """A frame of six clips with its heatmap below, where someone is well in view."""
    import cv2

    from ..calibration.geometry import GRID
    from ..dataset.show import colour_heat
    from ..rig.clip import open_clip

    tiles = []
    for tags in ("white-bright", "red-dim", "green-bright", "blue-dim", "black-bright", "white-dim"):
        clip = open_clip(out / "clips" / f"{tags}-1")
        heat, image, _ = clip.pair_index(PAIR_GAP_MS)
        celsius = clip.oriented(np.stack([heatmap.celsius for heatmap in clip.heatmaps()]))[heat]
        shown = int(np.argmax(np.percentile(celsius, 90, axis=(1, 2)) - np.median(celsius, axis=(1, 2))))
        picture = cv2.resize(clip.image(int(image[shown])).pixels, (320, 180), interpolation=cv2.INTER_AREA)
        grid = cv2.resize(colour_heat(celsius[shown]), (180, 180), interpolation=cv2.INTER_NEAREST)
        assert celsius.shape[1:] == (GRID, GRID)
        tiles.append(np.hstack([picture, grid]))
    path = out / "frames.png"
    pictures.write_image(path, np.vstack([np.hstack(tiles[row : row + 2]) for row in range(0, len(tiles), 2)]))
    return path


def _draw_dataset(out: Path) -> Path:
    from ..dataset.loading import load_pairs
    from ..dataset.show import draw_contact_sheet

    path = out / "dataset.png"
    pictures.write_image(path, draw_contact_sheet(load_pairs(out / "dataset", "train")))
    return path


def _draw_losses(out: Path) -> Path:
    lines = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]
    gan = [line for line in lines if line["phase"] == "gan"]
    shown = {
        "D: real against drawn": "d_adversarial",
        "G: taken for real": "g_adversarial",
        "D's heat of real": "d_heatmap_real",
        "D's heat of drawn": "d_heatmap_fake",
    }
    curves = {name: [(line["step"], line["metrics"][metric]) for line in gan] for name, metric in shown.items()}
    path = out / "losses.svg"
    draw_curves(path, curves, "step", "loss")
    return path


def draw_hero(out: Path, folder: Path) -> Path:
    """What the demo is about in one picture: heat, what the camera saw, and what was drawn from the heat.

    Args:
        out: the demo's folder, every stage done.
        folder: the clip that was drawn; its images are opened here for the first time, to compare.

    Returns:
        The PNG's path.
    """
    from ..calibration.geometry import find_view, read_calibration
    from ..dataset.loading import normalise_heatmap
    from ..model.pictures import paint_heat, sheet, write_png
    from ..rig.clip import open_clip

    clip = open_clip(folder)
    view = find_view(read_calibration(out / "calibration.json"))
    heat, image, _ = clip.pair_index(PAIR_GAP_MS)
    celsius = view.sample_heatmap(clip.oriented(np.stack([heatmap.celsius for heatmap in clip.heatmaps()])))[heat]
    warm = np.percentile(celsius, 90, axis=(1, 2)) - np.median(celsius, axis=(1, 2))
    occupied = np.flatnonzero(warm >= min(WELL_IN_VIEW_C, np.quantile(warm, 0.7)))
    chosen = occupied[np.linspace(0, len(occupied) - 1, HERO_COLUMNS).round().astype(int)]
    saw = np.stack([view.crop_image(clip.image(int(image[k])).pixels) for k in chosen])
    drawn = np.stack([pictures.read_image(out / "drawn" / f"{heat[k]:06d}.png") for k in chosen])
    source = np.stack([pictures.read_image(out / "source.png")] + [np.full_like(saw[0], 255)] * (HERO_COLUMNS - 1))
    page = sheet(
        [
            ("heat", paint_heat(normalise_heatmap(celsius[chosen]), saw.shape[1:3])),
            ("drawn from it", drawn),
            ("the camera saw", saw),
            ("source picture", source),
        ]
    )
    path = out / "picture.png"
    write_png(path, page, "lrt demo; the row 'drawn from it' is synthetic: a network drew it")
    return path
