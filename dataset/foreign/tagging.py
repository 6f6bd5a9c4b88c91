"""`tags.csv`: what is known of clips that were recorded elsewhere.

One line a clip; `clip` is the only column that must be there:

    clip,clothing,lighting,occupants,room,subject
    1643050280749,red,bright,1,lab,S01

An empty cell is not known. Free tags are separated by spaces, `synthetic` is True or False, `split` train or test.
"""

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..info import SPLITS
from ..schema import DatasetError
from ..tags import UNKNOWN, TagError, Vocabulary
from .layout import TAG_COLUMNS

UNKNOWN_OCCUPANTS = -1
_PSEUDONYM = re.compile(r"[A-Za-z0-9_.,-]{0,64}")  # no space and no @: nothing that looks like a name or an address
_FREE_TAG = re.compile(r"[a-z0-9_.-]{1,32}")


@dataclass(frozen=True)
class ClipTags:
    """What is known of one clip; see `shard.Rows`, whose fields these are.

    Raises:
        TagError: a value that cannot be.
    """

    clothing: str = UNKNOWN
    lighting: str = UNKNOWN
    occupants: int = UNKNOWN_OCCUPANTS
    room: str = ""
    subject: str = ""
    tags: tuple[str, ...] = ()
    synthetic: bool = False
    split: str = ""

    def __post_init__(self) -> None:
        if not _PSEUDONYM.fullmatch(self.subject):
            raise TagError(f"subject '{self.subject}': give a pseudonym of letters, digits, '_', '.' and '-'")
        for tag in self.tags:
            if not _FREE_TAG.fullmatch(tag):
                raise TagError(f"tag '{tag}': use 1 to 32 of a-z, 0-9, '_', '.' and '-'")
        if self.split not in ("", *SPLITS):
            raise TagError(f"split '{self.split}': choose one of {', '.join(SPLITS)}")


def read_tags(path: Path, clip_ids: Collection[str], vocabulary: Vocabulary) -> dict[str, ClipTags]:
    """{clip: what is known of it}, of the clips that the file names.

    Args:
        path: the CSV file, with a heading.
        clip_ids: the clips there are.
        vocabulary: the labels there are.

    Raises:
        DatasetError: no such file or no CSV, an unknown column or clip, a clip twice, a tag that cannot be.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # what a spreadsheet writes begins with a mark
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or ()
            lines = [(reader.line_num, line) for line in reader]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not CSV in UTF-8 ({error})") from error
    strange = sorted(set(columns) - set(TAG_COLUMNS))
    if strange or "clip" not in columns:
        raise DatasetError(
            f"{path}: {f'column {strange[0]!r} is not known' if strange else 'there is no column clip'}; "
            f"the columns are {', '.join(TAG_COLUMNS)}"
        )
    found: dict[str, ClipTags] = {}
    for number, line in lines:
        if None in line or None in line.values():
            raise DatasetError(f"{path}, line {number}: not as many cells as the heading has")
        clip_id = line.pop("clip")
        if clip_id not in clip_ids or clip_id in found:
            why = "stands there twice" if clip_id in found else "is not among the clips"
            raise DatasetError(f"{path}, line {number}: clip '{clip_id}' {why}")
        try:
            tags = _parse({name: cell.strip() for name, cell in line.items() if cell.strip()})
            vocabulary.check(tags.clothing, tags.lighting, max(tags.occupants, 0), recording=True)
            found[clip_id] = tags
        except TagError as error:
            raise DatasetError(f"{path}, line {number}: {error}") from error
    return found


def _parse(cells: dict[str, str]) -> ClipTags:
    """One line's cells, those that say something."""
    parsed = {name: cell for name, cell in cells.items() if name not in ("occupants", "tags", "synthetic")}
    occupants, synthetic = cells.get("occupants"), cells.get("synthetic", "False")
    if occupants is not None and not occupants.removeprefix("-").isdecimal():
        raise TagError(f"occupants '{occupants}': give the number of people in view")
    if synthetic not in ("True", "False"):
        raise TagError(f"synthetic '{synthetic}': give True or False")
    return ClipTags(
        **parsed,
        occupants=UNKNOWN_OCCUPANTS if occupants is None else int(occupants),
        tags=tuple(cells.get("tags", "").split()),
        synthetic=synthetic == "True",
    )
