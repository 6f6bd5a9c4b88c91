"""The twin: how fast it draws, how near its figures are to recorded ones, and a sheet of its pictures to look at.

`python -m bench twin` prints the figures; `python -m bench.twin SHEET.png` draws the sheet.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from lrt.rig.twin.occupant import SHIRTS
from lrt.rig.twin.rig import open_twin
from lrt.rig.twin.scene import Scene, SceneSettings

FRAMES = 100


def cpu_ms(work, times: int = 1) -> float:
    """CPU time of one call, ms."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) * 1e3 / times


def main() -> None:
    cv2.setNumThreads(1)
    Scene(SceneSettings()).look(0.0)  # bodies are read from disk once
    scenes = iter([Scene(SceneSettings(room_seed=seed)) for seed in range(1, 11)])
    print(f"a new scene and its first picture: {cpu_ms(lambda: next(scenes).look(0.0), 10):.0f} ms CPU")
    scene = Scene(SceneSettings())
    scene.heat(0.0)
    for name, work in (("picture 640x360 with its mask", scene.look), ("heat map", scene.heat)):
        instants = iter(np.linspace(0, 60, FRAMES))
        print(f"{name}: {cpu_ms(lambda work=work, instants=instants: work(next(instants)), FRAMES):.1f} ms CPU")
    print_statistics()


def print_statistics() -> None:
    """What the sensor reads of a person, by distance; published: background 22.3, contrast 4.7, 11 of 40 cells."""
    rows = []
    for k in range(12):
        twin = open_twin(list(SHIRTS)[k % 5], "bright", 1, f"bench-{k}", size=(320, 180), rig_seed=k)
        for frame in range(20, 3000, 40):
            distance = twin.scene.distance_m(frame * 0.101)
            if distance is None:
                rows.append((np.inf, 0, 0, 0))
                continue
            heat = twin.i2c.measure(frame)[1:6] / 4
            background = float(np.median(np.sort(heat.ravel())[:20]))
            rows.append((distance, background, heat.max() - background, (heat > background + 2).sum()))
    figures = np.array(rows)
    print(f"nobody in view: {np.isinf(figures[:, 0]).mean():.0%} of the time")
    print("distance m   share   background   contrast   cells > background + 2 (of 40)")
    for low, high in ((0.8, 1.2), (1.2, 1.6), (1.6, 2.2), (2.2, 3.0), (3.0, 4.5)):
        chosen = figures[(figures[:, 0] >= low) & (figures[:, 0] < high)]
        background, contrast, cells = chosen[:, 1:].mean(0)
        share = len(chosen) / len(figures)
        print(f"{low:.1f} - {high:.1f}    {share:5.0%}   {background:10.1f}   {contrast:8.1f}   {cells:5.1f}")


def draw_contact_sheet(path: Path, seed: int = 0) -> None:
    """Five shirts in two lights: the picture, the same at 64x40, and the heat beside it."""
    rows = []
    for lighting in ("bright", "dim"):
        row = []
        for k, clothing in enumerate(SHIRTS):
            scene = Scene(
                SceneSettings(room_seed=seed + k, occupant_seed=seed + 7 * k, clothing=clothing, lighting=lighting)
            )
            when = next(t for t in np.arange(2.0 + 3 * k, 300.0, 0.7) if (scene.distance_m(t) or 9.0) < 2.6)
            look, heat = scene.look(when), scene.heat(when)
            view = look.image[25:335, 72:568]  # eight by five thermal pixels
            small = cv2.resize(view, (64, 40), interpolation=cv2.INTER_AREA)
            warmth = np.clip((heat - 19.0) * (255 / 11), 0, 255).astype(np.uint8)
            coloured = cv2.cvtColor(cv2.applyColorMap(warmth, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
            below = [
                cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
                for picture, size in ((small, (384, 240)), (coloured, (256, 240)))
            ]
            row.append(np.vstack([look.image, np.hstack(below)]))
        rows.append(np.hstack(row))
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    draw_contact_sheet(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
