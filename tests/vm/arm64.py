"""lrt's base install and its quick tests on aarch64, by QEMU's emulation of a Pi 4's processor: `make test-arm64`.

Makes a Debian root once, installs lrt's wheel there, goes a technician's way on the twin, runs the tests that need no
PyTorch, and writes arm64.json beside this file. Exit code 1 where something did not hold.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vm_arm64_install import copy_tree, install, resolutions, resolve
from vm_arm64_report import Report, say, write_report
from vm_arm64_root import QEMU, check_tools, emulating, end_all, ended, make_root
from vm_arm64_tests import JOBS, list_files, list_gone, run_file, run_job
from vm_image import BenchError, alone, find_tool, make_wheel

PARTS = ("wheels", *JOBS)


def main() -> int:
    wanted = argparse.ArgumentParser(prog="tests/vm/arm64.py", description=__doc__)
    wanted.add_argument("--only", nargs="*", default=[], metavar="PART", help=f"{' '.join(PARTS)}, or rig/test_clip.py")
    wanted.add_argument(
        "--out", type=Path, default=Path(__file__).with_name("arm64.json"), help="where the report goes"
    )
    asked = wanted.parse_args()
    began_s = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="lrt-arm64-"))
    try:
        report = run_all(asked.only, work)
    except BenchError as error:
        print(f"test-arm64: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("test-arm64: stopped", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.finish(time.monotonic() - began_s)
    if not asked.only:  # some parts are no report
        write_report(report, asked.out)
    print(report.table())
    return int(not report.ok)


def run_all(only: list[str], work: Path) -> Report:
    """Every part that is asked for, as many beside each other as there are processors.

    Raises:
        BenchError: a tool, the root or lrt's wheel is not to be had.
    """
    check_tools()
    files = list_files()
    if unknown := [each for each in only if each not in (*PARTS, *files)]:
        raise BenchError(f"{unknown[0]} is no part and no file that is run; parts: {' '.join(PARTS)}")
    report = Report(qemu=_qemu_version())
    gone = list_gone()
    report.hold("each file and test that is left out by name exists", not gone, "; ".join(gone))
    with alone("test-arm64"), emulating() as report.format:
        say("making the root; the first time takes minutes")
        root, report.cold = make_root()
        copy_tree(work)
        say("installing lrt's wheel")
        done = install(root, work, make_wheel(work))
        report.hold("lrt's wheel is installed, and pip check finds nothing amiss", done.code == 0, done.last)
        if done.code:
            return report
        with ThreadPoolExecutor(os.cpu_count() or 1) as beside:
            jobs = [beside.submit(_try_job, report, root, work, name) for name in JOBS if not only or name in only]
            tests = [beside.submit(_try_file, report, root, work, file) for file in files if not only or file in only]
            try:
                if not only or "wheels" in only:
                    for name, packages, python, glibc in resolutions():
                        report.hold(name, *resolve(packages, python, glibc))
                for each in (*jobs, *tests):
                    each.result()
            except BaseException:
                beside.shutdown(wait=False, cancel_futures=True)
                end_all()
                raise
    return report


def _try_job(report: Report, root: Path, work: Path, name: str) -> None:
    checks, figures, seconds = run_job(root, work, name)
    if ended():  # by us: it says nothing
        return
    say(f"{name}: {sum(each['ok'] for each in checks)} of {len(checks)} held, {seconds:.0f} s")
    report.checks += checks
    report.figures |= figures | {f"seconds_{name}": round(seconds, 1)}


def _try_file(report: Report, root: Path, work: Path, file: str) -> None:
    row = run_file(root, work, file)
    if ended():
        return
    say(f"{file}: {row.passed} passed, {row.failed} failed, {row.skipped} skipped, {row.seconds:.0f} s")
    report.rows.append(row)


def _qemu_version() -> str:
    said = subprocess.run([find_tool(QEMU) or QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0].split("(")[0].strip() if said else "unknown"


if __name__ == "__main__":
    for told in (signal.SIGINT, signal.SIGTERM):  # either ends what runs in the root, too
        signal.signal(told, signal.default_int_handler)
    sys.exit(main())
