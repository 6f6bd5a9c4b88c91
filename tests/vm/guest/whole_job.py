"""The whole way in the machine: daemon, clip over I2C and V4L2 with its time offset measured, calibration, dataset.

whole_job.py LIVE.npz WAVE.npz      the feeder hands over the first meanwhile, and the other when it is asked to
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from checks import CONTROL, Checks, last_json, sh, wait_for
from systemd_job import CAPTURE, CLIPS, as_user, header, is_fit

from lrt.dataset.loading import load_pairs

CALIBRATION, DATASET, FRAMES, MASKS = (
    Path("/var/tmp/whole") / name for name in ("calibration.json", "dataset", "frames", "masks")
)
LOOKED_AT = 20  # frames, the fewest that are enough
OFFSET_MS, GEOMETRY = 25.0, 0.3  # what emulation may cost: ms, and share of a thermal pixel


def read_truth(scene_file: str) -> dict[str, float]:
    """How sensor and camera of a scene lie to each other."""
    with np.load(scene_file) as scene:
        return {name: float(scene[name]) for name in ("tx", "ty", "s", "offset_ms")}


def measure_offset(checks: Checks, truth: dict[str, float]) -> None:
    CONTROL.write_text("wave")
    sh("systemctl start lrt", 90)
    sh(f"runuser -u lrt -- lrt consent add TEST --scope internal --dir {CLIPS}")
    checks.hold("the service is up and fit", wait_for(is_fit, 60))
    code, said = sh("runuser -u lrt -- lrt sync-check --seconds 18 --json", 150)
    found = last_json(said)
    off = abs(found.get("offset_ms", np.inf) - truth["offset_ms"])
    checks.hold(
        "sync-check measures the time offset",
        off < OFFSET_MS,
        f"{found.get('offset_ms')} ms, true {truth['offset_ms']:.0f}; {said[-200:] if code else ''}",
    )
    checks.hold("and writes it to /etc/lrt/rig.toml", "[sync]" in Path("/etc/lrt/rig.toml").read_text())
    checks.figures |= {
        "offset_ms": found.get("offset_ms"),
        "offset_true_ms": truth["offset_ms"],
        "offset_spread_ms": found.get("spread_ms"),
    }
    CONTROL.write_text("")
    time.sleep(3)  # a clip begins 2 s before it is asked for


def find_masks(scene_file: str) -> int:
    """Masks of the exported frames, by the frame that each is: its pixels are those of one of the scene's JPEGs."""
    with np.load(scene_file) as scene:
        packed, small = scene["masks"], scene["small"].astype(np.int16)
    MASKS.mkdir()
    found = 0
    for path in sorted(FRAMES.glob("*.png")):
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        near = cv2.resize(picture, small.shape[:0:-1], interpolation=cv2.INTER_AREA).astype(np.int16)
        number = int(np.abs(small - near).mean((1, 2)).argmin())
        cv2.imwrite(str(MASKS / path.name), np.unpackbits(packed[number], axis=-1) * 255)
        found += 1
    return found


def go_on(checks: Checks, scene_file: str, truth: dict[str, float]) -> None:
    clips = f"{CLIPS}/whole-1 {CLIPS}/whole-2"
    for clip_id, seconds in (("whole-1", 10), ("whole-2", 5)):
        code, said = as_user(
            "tech",
            f"{CAPTURE} --clip-id {clip_id} --seconds {seconds}",
            120,
        )
        found = last_json(said)
        recorded = code == 0 and found["pairs"] > 5 * seconds
        checks.hold(f"clip {clip_id} is recorded", recorded, f"{found['pairs']} pairs" if recorded else said[-300:])
    sh("systemctl stop lrt feeder")  # the rest needs no rig, and the processor
    code, said = sh(f"lrt clips verify {clips}", 120)
    checks.hold("both are whole", "damaged" not in said and "SHA" not in said and code in (0, 1), said[:600])
    checks.hold("the clip carries the measured offset", abs(header("whole-1")["rig"]["sync"]["offset_ms"]) > 0)
    sh("mkdir -p /var/tmp/whole")
    code, said = sh(f"lrt calibrate {clips} --frames {LOOKED_AT} --export-frames {FRAMES}", 200)
    checks.hold("frames are exported for drawing masks", code == 0, said[-300:] if code else "")
    count = find_masks(scene_file)
    code, said = sh(f"lrt calibrate {clips} --frames {LOOKED_AT} --masks {MASKS} --out {CALIBRATION} --json", 300)
    fit = last_json(said)
    off = np.hypot(fit.get("tx", np.inf) - truth["tx"], fit.get("ty", np.inf) - truth["ty"]) / truth["s"]
    checks.hold(
        "the fit on given masks finds the shift",
        off < GEOMETRY,
        f"{off:.3f} of a thermal pixel, {count} masks; {said[-300:] if code else ''}",
    )
    checks.figures |= {
        "shift_error_share": float(off),
        "scale_error_share": abs(fit.get("s", np.inf) / truth["s"] - 1),
        "calibration_verdict": fit.get("verdict"),
    }
    code, said = sh(f"lrt build-dataset {clips} --calibration {CALIBRATION} --out {DATASET} --test whole-2 --json", 200)
    if code:
        code, again = sh(f"lrt clips verify {clips} --calibration {CALIBRATION} --json", 200)
        said += again
    checks.hold("a dataset is built", DATASET.is_dir(), said[-1200:] if not DATASET.is_dir() else "")
    pairs = load_pairs(DATASET, "train")
    checks.hold("and opened", len(pairs.heatmaps) > 50 and not pairs.synthetic, f"{len(pairs.heatmaps)} pairs in train")
    checks.figures["pairs"] = len(pairs.heatmaps) + len(load_pairs(DATASET, "test").heatmaps)


def main() -> None:
    live, wave = sys.argv[1:]
    checks = Checks()
    with checks.trying("the time offset"):
        measure_offset(checks, read_truth(wave))
    with checks.trying("the way from clips to a dataset"):
        go_on(checks, live, read_truth(live))
    checks.answer()


main()
