"""Run the benchmarks: all of them, or those named (`python -m bench rig model`)."""

import importlib
import platform
import sys
from pathlib import Path

TOOLS = (  # called by others
    "__init__",
    "__main__",
    "build",
    "loaders",
    "peers",
    "plain_step",
    "resume",
    "rig_sources",
    "rigs",
    "ship_run",
    "train_small_masks",
    "twin_dataset",
)


def machine() -> str:
    """What the figures were taken on."""
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{processor}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def main() -> None:
    names = sys.argv[1:] or sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in TOOLS)
    print(f"machine: {machine()}")
    for name in names:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
