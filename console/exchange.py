"""What `lrt dataset import` and `lrt dataset export` do: one function each, plain values out."""

from collections.abc import Sequence
from pathlib import Path

from .results import Result, StageError, Update, plain, silent

FORMATS = ("authors", "lerobot", "webdataset")


def import_dataset(
    folder: Path,
    out: Path,
    layout: str = "lrt-human",
    tags: Path | None = None,
    heat: str = "",
    rate_hz: float = 10.0,
    range_c: tuple[float, float] | None = None,
    scope: str = "",
    test_clips: Sequence[str] = (),
    test_fraction: float = 0.1,
    split_by: str = "clip",
    clips: Path = Path("clips"),
    on_progress: Update = silent,
) -> Result:
    """Make a dataset of one in the authors' layout.

    Args:
        range_c: what the lowest and the highest value of heat stand for, degC; as the authors' code has it by default.
        clips: folder of the rig's own clips: its ledger knows who was removed, its vocabulary the labels.

    Raises:
        DatasetError: see `dataset.foreign.importing.import_dataset`.
        ConsentError, TagError: a ledger or a vocabulary that cannot be read.
    """
    from ..dataset.consent import read_ledger
    from ..dataset.foreign import importing
    from ..dataset.tags import find_vocabulary

    heat_range = {} if range_c is None else {"coldest_c": range_c[0], "warmest_c": range_c[1]}
    config = importing.ImportConfig(
        layout=layout,
        heat=heat,
        rate_hz=rate_hz,
        scope=scope,
        test_clips=tuple(test_clips),
        test_fraction=test_fraction,
        split_by=split_by,
        **heat_range,
    )
    info = importing.import_dataset(folder, out, config, on_progress, tags, read_ledger(clips), find_vocabulary(clips))
    return plain(
        {
            "dataset": out,
            "pairs": info.pairs,
            "clips": len(info.clips),
            "splits": info.splits,
            "scope": info.scope,
            "notes": info.notes,
            "synthetic": info.synthetic,
        }
    )


def export_dataset(dataset: Path, out: Path, format: str, on_progress: Update = silent) -> Result:
    """Write a dataset in another layout.

    Raises:
        StageError: no such format.
        DatasetError: not a dataset, a damaged one, one whose pictures may not leave, or `out` cannot be made.
    """
    from ..dataset.foreign.authors import write_authors
    from ..dataset.foreign.lerobot import write_lerobot
    from ..dataset.foreign.webdataset import write_webdataset
    from ..dataset.info import read_info

    writers = dict(zip(FORMATS, (write_authors, write_lerobot, write_webdataset), strict=True))
    if format not in writers:
        raise StageError(f"format '{format}' is not known; choose one of {', '.join(FORMATS)}")
    written = writers[format](dataset, out, on_progress)
    info = read_info(dataset)
    return plain(
        {
            "out": out,
            "format": format,
            "pairs": info.pairs,
            "clips": len(info.clips),
            "scope": info.scope,
            "synthetic": info.synthetic,
            "written": written,
        }
    )
