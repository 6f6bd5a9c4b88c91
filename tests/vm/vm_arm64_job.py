"""In the root: which processor and packages there are, and what a technician does with lrt's base install, to the end.

No PyTorch is there. Commands that need it have to say so in one line; all others have to work.
"""

import ctypes
import json
import mmap
import platform
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from checks import Checks, last_json, sh

from lrt.rig.clip import open_clip
from lrt.rig.twin.rig import scene_of, scene_time_s

PLACE = Path("/tmp/technician")
RIG = '[sensor]\nkind = "twin"\n[camera]\nkind = "twin"\nsize = [320, 180]\nrate = 10\n'
TAGS = "--clothing red --lighting bright --consent TEST --rig rig.toml"
SECONDS, FRAMES, SHIFT = 12, 24, 0.3  # of each clip; how far the fit may be off, as a share of a thermal pixel
LIMIT_S = 900.0  # of one command, on a host that is busy with other things
CORTEX_A72, PART = 0xD08, 0xFFF0  # Arm's number of it in MIDR_EL1, bits 15 to 4
READ_MIDR = bytes.fromhex("000038d5c0035fd6")  # mrs x0, midr_el1; ret
LSE, PACA = 1 << 8, 1 << 30  # atomics of Armv8.1, pointer authentication of Armv8.3: a Pi 4 has neither
HWCAP = 16  # of getauxval
NEEDS_TORCH = (
    "train dataset --out run",
    "evaluate run --data dataset",
    "synthesise twin --heatmaps clips/one --source blue-dim --out drawn",
    "live twin --out drawn --seconds 2",
    "export run --out bundle",
    "models",
    "demo --out demo",
    "bench-table3 dataset --out table",
    "calibrate clips/one",
    "calibrate clips/one --masks small",
)


def read_processor() -> tuple[int, int]:
    """The processor's part number, as it gives it itself, and the kernel's word on what it can (HWCAP)."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(READ_MIDR)
    call = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    getauxval = ctypes.CDLL(None).getauxval
    getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return (call() & PART) >> 4, getauxval(HWCAP)


def look_at_machine(checks: Checks) -> None:
    """What a Pi 4 with Raspberry Pi OS is, as far as a program can see."""
    checks.hold("the platform is aarch64", platform.machine() == "aarch64", platform.platform())
    part, can = read_processor()
    checks.hold("the processor is a Pi 4's, Cortex-A72", part == CORTEX_A72, f"part {part:#x}, HWCAP {can:#x}")
    checks.hold("without newer instructions that a Pi 4 has not", not can & (LSE | PACA), f"HWCAP {can:#x}")
    _, said = sh(f"{sys.executable} {__file__} processor")
    checks.hold("a program that it starts sees the same", said == f"{part:#x}", said[-200:])
    checks.hold("Python is Raspberry Pi OS's, 3.13", sys.version_info[:2] == (3, 13), platform.python_version())
    checks.hold("its glibc is trixie's, 2.41", platform.libc_ver()[1] == "2.41", " ".join(platform.libc_ver()))


def look_at_packages(checks: Checks) -> None:
    """What pip made of the base install."""
    tags: dict[str, list[str]] = {}
    for each in distributions():
        wheel = each.read_text("WHEEL") or ""
        tags[each.name.lower()] = [line[5:] for line in wheel.splitlines() if line.startswith("Tag: ")]
    wrong = [name for name, said in tags.items() if not said or any("x86" in tag for tag in said)]
    built = sum(any("aarch64" in tag for tag in said) for said in tags.values())
    checks.hold(
        "every package is a wheel for aarch64 or for all", not wrong, wrong or f"{built} of {len(tags)} aarch64"
    )
    asked = [word.lower() for word in sys.argv[2:]]
    absent = [name for name in asked if name not in tags]
    checks.hold("each base dependency is installed", asked and not absent, absent or f"{len(asked)} of {len(asked)}")
    there = [name for name in ("torch", "torchvision") if find_spec(name) or name in tags]
    checks.hold("torch and torchvision are absent", not there, there or "neither is there")


def try_commands(checks: Checks) -> None:
    """The way from the rig to a dataset and back, on the twin."""
    clips = "clips/one clips/two"

    def must(name: str, command: str) -> dict:
        code, said = sh(f"cd {PLACE} && lrt {command}", LIMIT_S)
        found = last_json(said)
        checks.hold(
            name,
            code == 0,
            json.dumps(found)[:160] if code == 0 and found else said[-400:] if code else said.splitlines()[0],
        )
        return found

    must("lrt --help", "--help")
    must("lrt check watches the twin", "check --rig twin --seconds 2 --json")
    for clip_id in ("one", "two"):
        found = must(
            f"lrt capture records clip {clip_id}", f"capture --clip-id {clip_id} {TAGS} --seconds {SECONDS} --json"
        )
        header = json.loads((PLACE / f"clips/{clip_id}/clip.json").read_text())
        whole = header["sha256"] and found.get("pairs", 0) > 5 * SECONDS
        checks.hold(
            f"and clip.json of {clip_id} is finished", whole, f"{found.get('pairs')} pairs, {sorted(header)}"[:300]
        )
    must("lrt clips list", "clips list --json")
    must("lrt clips verify finds them whole", f"clips verify {clips} --json")
    must("lrt clips show", "clips show clips/one --json")
    must("lrt clips tag", "clips tag clips/two --clothing blue --json")
    must("lrt clips play makes a video", "clips play clips/one --out one.mp4 --seconds 2 --json")
    must("lrt sync-check measures the time offset", "sync-check --rig rig.toml --seconds 12 --json")
    must("lrt calibrate exports frames to draw masks on", f"calibrate {clips} --frames {FRAMES} --export-frames frames")
    drawn = draw_masks()
    fit = must("lrt calibrate fits on given masks", f"calibrate {clips} --frames {FRAMES} --masks masks --json")
    truth = json.loads((PLACE / "clips/one/clip.json").read_text())["twin"]
    off = np.hypot(fit.get("tx", np.inf) - truth["tx"], fit.get("ty", np.inf) - truth["ty"]) / truth["s"]
    checks.hold("and finds the twin's shift", off < SHIFT, f"{off:.3f} of a thermal pixel off, {drawn} masks")
    checks.figures["shift_error_share"] = float(off)
    _, said = sh(
        f"cd {PLACE} && lrt calibrate --check calibration.json {clips} --frames {FRAMES} --masks masks --json", LIMIT_S
    )
    verdict = last_json(said).get("verdict")  # of so few frames it may well be unsure
    checks.hold(
        "lrt calibrate --check does not say that it moved", verdict in ("HOLDS", "UNSURE"), verdict or said[-400:]
    )
    build = f"build-dataset {clips} --calibration calibration.json --test two --json --out"
    must("lrt build-dataset builds", f"{build} dataset")
    must("and again, by two processes", f"{build} again --jobs 2")
    shards = [
        {file.name: file.read_bytes() for file in (PLACE / name).rglob("*.parquet")} for name in ("dataset", "again")
    ]
    checks.hold("the same bytes both times", shards[0] and shards[0] == shards[1], sorted(shards[0]))
    must("lrt dataset show draws its page", "dataset show dataset --out page.html --json")
    must("lrt dataset export hands it out", "dataset export dataset --format authors --out theirs --json")
    must("lrt subject list", "subject list --json")
    must("lrt clips remove", "clips remove clips/two --yes --json")


def draw_masks() -> int:
    """True masks of the exported frames; each frame is known by its pixels, and its scene made again from clip.json."""
    (PLACE / "masks").mkdir()
    frames = {
        path.name: cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted((PLACE / "frames").glob("*.png"))
    }
    drawn = 0
    for clip_id in ("one", "two"):
        folder = PLACE / "clips" / clip_id
        truth = json.loads((folder / "clip.json").read_text())["twin"]
        scene, clip = scene_of(truth), open_clip(folder)
        for image in map(clip.image, range(len(clip.image_times_ns))):
            for name in [name for name, frame in frames.items() if np.array_equal(frame, image.pixels)]:
                mask = scene.look(scene_time_s(truth, image.timestamp_ns)).mask
                drawn += cv2.imwrite(str(PLACE / "masks" / name), mask.astype(np.uint8) * 255)
                del frames[name]
    return drawn


def try_without_torch(checks: Checks) -> None:
    """What needs PyTorch says so in one line, and leaves nothing behind."""
    for command in NEEDS_TORCH:
        code, said = sh(f"cd {PLACE} && lrt {command}", LIMIT_S)
        lines = said.splitlines()
        one = code == 1 and len(lines) == 1 and ("torch" in said.lower())
        checks.hold(f"lrt {command}: one line, that says what to install", one, f"{code}: {said[-300:]}")
    left = [name for name in ("run", "drawn", "bundle", "demo", "table") if (PLACE / name).exists()]
    checks.hold("and nothing is left of them", not left, left)


def main() -> None:
    if sys.argv[1] == "processor":
        print(f"{read_processor()[0]:#x}")
        return
    checks = Checks()
    if sys.argv[1] == "machine":
        with checks.trying("the machine can be looked at"):
            look_at_machine(checks)
        with checks.trying("the packages can be looked at"):
            look_at_packages(checks)
    else:
        PLACE.mkdir()
        (PLACE / "rig.toml").write_text(RIG)
        with checks.trying("the technician's way is gone to its end"):
            try_commands(checks)
        with checks.trying("the commands that need PyTorch are tried"):
            try_without_torch(checks)
    checks.answer()


main()
