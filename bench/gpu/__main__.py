"""Figures of a GPU machine, in sittings of some minutes: `python -m bench.gpu --out results --minutes 9`.

Draws its own pairs from the twin (pairs.py), times a training step in every precision (speed.py), the folded
convolutions one by one (folds.py), and trains for the rest of the time (slices.py). What is drawn, timed and trained
is kept in --state, and the next call with the same arguments goes on there. --out gets few and small files:
summary.json, summary.txt, sheets.png, and of a training its config.json, metrics.jsonl and averaged weights.

With --table the models of the paper's Table 3 are trained in turn, each for --gan-steps and --inversion-steps.
"""

import argparse
import sys
import time
from pathlib import Path

from lrt import LrtError

from .pairs import CLIPS, PAIRS, draw_takes, plan_takes

HELD_OUT = 10  # one clip of these for so many trained on, and each as long


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/gpu/results"), help="small files go here (default %(default)s)")
    add("--state", type=Path, default=Path("runs/gpu"), help="kept between sittings (default %(default)s)")
    add("--minutes", type=float, default=9.0, help="of this sitting (default %(default)g)")
    add("--device", default="auto", help="cuda, cpu or auto (the default)")
    add("--preset", default="authors", help="of the training (default authors); smoke for a trial without a GPU")
    add("--model", default="spade-sr-64", help="(default %(default)s)")
    add("--batch", type=int, default=256, help="pairs a step (default %(default)s, the paper's)")
    add("--pairs", type=int, default=PAIRS, help="to draw (default %(default)s, as LRT-Human)")
    add("--clips", type=int, default=CLIPS, help="that they are spread over (default %(default)s)")
    add("--jobs", type=int, help="processes that draw them (default: one a core)")
    add("--settings", help="to time a step in, with commas: fp32,tf32,bf16,... or none (default: all)")
    add("--batches", default="64,128,512", help="others that a step is timed at, or none (default %(default)s)")
    add("--block", type=float, default=1.5, help="seconds that steps are timed for, three times (default %(default)g)")
    add("--train", default="bf16", help="the setting to train in, or none (default %(default)s)")
    add("--gan-steps", type=int, help="(default: the preset's; 34,000 of authors)")
    add("--inversion-steps", type=int, help="(default: the preset's; 850 of authors)")
    add("--table", action="store_true", help="train all models of Table 3, in place of --model")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    asked = parse(arguments)
    until = time.monotonic() + 60 * asked.minutes

    from .sitting import plan, sit  # torch, which the processes that draw do without

    config = plan(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    folder = asked.state / "pairs"
    held_clips = -(-asked.clips // HELD_OUT)
    each = asked.pairs // asked.clips

    def tell(clips: int) -> None:
        print(f"clip {clips} of {asked.clips} drawn", flush=True)

    pairs = draw_takes(plan_takes(asked.pairs, asked.clips), folder, asked.jobs, tell)
    held_out = draw_takes(plan_takes(each * held_clips, held_clips, "test"), folder, asked.jobs)
    print(f"{len(pairs)} pairs to train on, {len(held_out)} held out", flush=True)
    sit(asked, config, pairs, held_out, until)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LrtError as error:
        sys.exit(str(error))
