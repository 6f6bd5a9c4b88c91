"""A dataset as WebDataset: plain tar files, which the package of that name reads and nothing but Python writes."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from ..place import new_folder
from .outgoing import ABOUT_NAME, ClipRows, Progress, read_clips, read_what_may_leave, write_about

# The pairs lie in the order of clips and frames; a reader mixes by opening tars in any order, and by a buffer. Small
# tars mix well: a buffer of 5,000 pairs holds 20 of these.
PAIRS_PER_TAR = 250
CONTENTS = ("train-*.tar", "test-*.tar", ABOUT_NAME)
ABOUT = f"""Tar files `<split>-<number>.tar` of {PAIRS_PER_TAR} pairs, in the order of clips and frames. Of each pair:

| file | what it holds |
|---|---|
| `<clip>-<frame>.png` | the picture, RGB |
| `<clip>-<frame>.heatmap.npy` | float32, degC |
| `<clip>-<frame>.heatmap_full.npy` | float32, degC: the sensor's whole frame, where it is known |
| `<clip>-<frame>.json` | clip, frame, `t_ns`, `dt_ms` (null where unknown), tags, `synthetic` |

```python
webdataset.WebDataset(sorted(glob.glob("train-*.tar")), shardshuffle=100).shuffle(5000).decode("rgb8")
```"""


def write_webdataset(dataset: Path, out: Path, on_progress: Progress) -> dict[str, int]:
    """Write a dataset as WebDataset tar files; the same dataset gives the same bytes.

    Args:
        dataset, out: the dataset's folder, and the folder to make.
        on_progress: called with clips done and clips in all.

    Returns:
        {split: tar files}.

    Raises:
        DatasetError: no dataset, a damaged one, one whose pictures may not leave, or `out` cannot be made.
    """
    info = read_what_may_leave(dataset)
    with new_folder(out, replace=False, contents=CONTENTS) as folder:
        by_split = groupby(read_clips(dataset, info, on_progress), key=lambda rows: rows.clip.split)
        tars = {split: _write_tars(folder, split, clips) for split, clips in by_split}
        write_about(folder, info, ABOUT)
    return tars


def _write_tars(folder: Path, split: str, clips: Iterable[ClipRows]) -> int:
    """Write one split, and say in how many files."""
    pairs = ((rows, row) for rows in clips for row in range(len(rows)))
    number = 0
    while some := list(islice(pairs, PAIRS_PER_TAR)):
        with tarfile.open(folder / f"{split}-{number:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for rows, row in some:
                for name, content in _list_files(rows, row):
                    member = tarfile.TarInfo(name)  # no time, no owner: the bytes depend on the pair alone
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        number += 1
    return number


def _list_files(rows: ClipRows, row: int) -> Iterator[tuple[str, bytes]]:
    """(name, content) of one pair's files. They share the name up to its first dot, which makes them one sample."""
    key = f"{rows.clip.clip_id}-{row:06d}"
    yield f"{key}.heatmap.npy", _encode_npy(rows.heatmaps[row])
    if rows.full is not None:
        yield f"{key}.heatmap_full.npy", _encode_npy(rows.full[row])
    dt_ms = float(rows.dt_ms[row])
    known = {"t_ns": int(rows.t_ns[row]), "dt_ms": dt_ms if np.isfinite(dt_ms) else None}
    yield f"{key}.json", json.dumps({"clip_id": rows.clip.clip_id, "frame": row, **known, **rows.tags}).encode()
    yield f"{key}.png", rows.pngs[row]


def _encode_npy(array: np.ndarray) -> bytes:
    """The array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
