"""How near the fit comes, side by side with the published score: 30 simulated rigs whose pose is known."""

import importlib.util
import time
from pathlib import Path

import numpy as np

from lrt.calibration.authors import authors_score_fit
from lrt.calibration.fit import fit_calibration

SIMULATOR = Path(__file__).parent.parent / "tests" / "calibration" / "conftest.py"
RIGS, FRAMES, FIRST_SEED = 30, 200, 100


def main() -> None:
    spec = importlib.util.spec_from_file_location("rig_simulator", SIMULATOR)
    assert spec is not None
    assert spec.loader is not None
    simulator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulator)
    methods = {
        "ours": lambda rig: fit_calibration(rig.heatmaps, rig.masks, rig.image_size).calibration,
        "authors' score": lambda rig: authors_score_fit(rig.heatmaps, rig.masks, rig.image_size),
    }
    rows: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in methods}
    within = []
    for seed in range(FIRST_SEED, FIRST_SEED + RIGS):
        rig = simulator.simulate_rig(seed, FRAMES)
        for name, fit in methods.items():
            started = time.process_time()
            found = fit(rig)
            seconds = time.process_time() - started
            x, y = (found.tx - rig.pose.tx) / rig.pose.s, (found.ty - rig.pose.ty) / rig.pose.s
            rows[name].append((100 * float(np.hypot(x, y)), 100 * abs(y), 100 * abs(found.s / rig.pose.s - 1), seconds))
            if name == "ours":
                errors = (found.tx - rig.pose.tx, found.ty - rig.pose.ty, found.s - rig.pose.s)
                spreads = (found.tx_sd, found.ty_sd, found.s_sd)
                within.append([abs(error) < 1.96 * sd for error, sd in zip(errors, spreads, strict=True)])
    print(f"{RIGS} simulated rigs of {FRAMES} frames with faulty masks; errors in % of a thermal pixel")
    print(f"{'method':15} {'2-D median':>10} {'2-D p90':>8} {'ty median':>9} {'s median':>9} {'s p90':>7} {'CPU s':>5}")
    for name, row in rows.items():
        plane, y, scale, seconds = np.array(row).T
        print(
            f"{name:15} {np.median(plane):10.1f} {np.quantile(plane, 0.9):8.1f} {np.median(y):9.1f} "
            f"{np.median(scale):9.2f} {np.quantile(scale, 0.9):7.2f} {np.mean(seconds):5.2f}"
        )
    shares = np.mean(within, axis=0)
    print("truth within the 95 % interval: tx {:.2f}, ty {:.2f}, s {:.2f}".format(*shares))


if __name__ == "__main__":
    main()
