"""The rig on a real kernel, in virtual machines: `make test-vm`, or `python tests/vm`.

Builds the machines' images once, starts them, runs the jobs of guest/ in them, cuts their disks' power on paper, and
writes report.json and report.html beside this file. Exit code 1 where a check did not hold.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vm_image import BenchError, alone, check_tools, make_image, make_wheel, pack_lrt
from vm_machine import accelerator, end_all
from vm_parts import MACHINES, PART_OF, PARTS, Bench, make_ready
from vm_report import NOT_RUN, Report, say, write_report
from vm_scene import make_scene

SCENE_S = 24


def main() -> int:
    wanted = argparse.ArgumentParser(prog="tests/vm", description=__doc__)
    wanted.add_argument("--keep", action="store_true", help="keep the machines' folders, and say where they are")
    wanted.add_argument("--only", nargs="*", default=[], metavar="PART", choices=PARTS, help=" ".join(PARTS))
    wanted.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of report.json and report.html")
    asked = wanted.parse_args()
    began_s = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="lrt-vm-"))
    try:
        check_tools()
        _must_be_writable(asked.out)
        with alone("test-vm"):
            report = run_all(asked.only, work)
    except BenchError as error:
        print(f"test-vm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("test-vm: stopped", file=sys.stderr)
        return 130
    finally:
        if asked.keep:
            print(f"test-vm: kept {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    report.finish(time.monotonic() - began_s, partial=bool(asked.only))
    write_report(report, asked.out)
    print(report.table())
    return int(not report.ok)


def _must_be_writable(folder: Path) -> None:
    """Refuse a folder in which no report can be left, before minutes of work go into it.

    Raises:
        BenchError: it cannot be made, or nothing be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BenchError(f"--out {folder}: cannot be written ({error.strerror}); choose another folder") from error


def run_all(only: Sequence[str], work: Path) -> Report:
    """Every part that is asked for; one that breaks is said to have, and the others go on.

    Raises:
        BenchError: the first image or lrt's wheel cannot be made.
    """
    report = Report(accelerator())
    say("making the image and the scenes; the first time takes minutes")
    with ThreadPoolExecutor(1) as aside:
        making = aside.submit(make_image)
        wheel = make_wheel(work)
        scenes = {script: make_scene(script, SCENE_S) for script in ("live", "wave")}
        image = making.result()
    report.made += image.made_now
    packed = pack_lrt(image, wheel, work)
    with ThreadPoolExecutor((os.cpu_count() or 1) + 2) as beside:
        ready = beside.submit(make_ready, image, wheel, packed, scenes, report.made)
        bench = Bench(frozenset(only), work, image, ready, wheel, packed, scenes, report)
        going = [
            beside.submit(try_machine, bench, work_on, groups)
            for work_on, groups in MACHINES
            if bench.wants(*(PART_OF.get(name, name) for name in groups))
        ]
        try:
            for each in going:
                each.result()
        except KeyboardInterrupt:
            beside.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
    report.not_run += NOT_RUN
    return report


def try_machine(bench: Bench, work_on: Callable[[Bench], None], groups: Sequence[str]) -> None:
    """One machine's parts; where it breaks, those that it had yet to do are said not to hold."""
    try:
        work_on(bench)
    except BenchError as error:
        for name in groups:
            if bench.wants(PART_OF.get(name, name)) and not bench.report.has(name):
                bench.report.add_broken(name, str(error))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for told in (signal.SIGINT, signal.SIGTERM):  # either ends the machines too
        signal.signal(told, signal.default_int_handler)
    sys.exit(main())
