"""The clips that a dataset was given, looked at before any work is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..calibration.geometry import Calibration
from ..rig.clip import ClipHeader
from .config import BuildConfig
from .consent import Ledger, read_ledger, today
from .publish import PUBLISH, name_clip
from .schema import DatasetError
from .tags import TagError, Vocabulary, join_vocabularies


@dataclass(frozen=True)
class Given:
    """A clip that was given.

    Attributes:
        folder, header: its own.
        name: what the dataset calls it.
        subject: of the ledger, "" unknown.
        refusal: why it may not be in this dataset; None when it may.
        noted: whether the ledger knows its consents, or nobody was recorded.
    """

    folder: Path
    header: ClipHeader
    name: str
    subject: str
    refusal: str | None
    noted: bool


def read_given(folders: Sequence[Path], calibration: Calibration, config: BuildConfig) -> dict[str, Given]:
    """{clip id: clip} in the order of the ids, all looked at before any work is done."""
    if not folders:
        raise DatasetError("no clips; name at least one folder that `lrt capture` made")
    given: dict[str, Given] = {}
    ledgers: dict[Path, Ledger] = {}
    for folder in folders:
        header = ClipHeader.read(folder)
        if header.clip_id in given:
            other = given[header.clip_id].folder
            raise DatasetError(f"{folder}: clip id {header.clip_id} is also that of {other}; give each clip once")
        _check_header(folder, header, calibration)
        home = folder.absolute().parent
        if home not in ledgers:
            ledgers[home] = read_ledger(home)
        given[header.clip_id] = _admit(folder, header, ledgers[home], config)
        first = next(iter(given.values()))
        if _mounting(header) != _mounting(first.header):
            raise DatasetError(
                f"{folder} and {first.folder} come from different rigs ({_mounting(header)} and "
                f"{_mounting(first.header)}); calibrate each and build a dataset of each"
            )
    return dict(sorted(given.items()))


def _check_header(folder: Path, header: ClipHeader, calibration: Calibration) -> None:
    """Refuse a clip that the calibration is not for."""
    if header.image_size is not None:  # else it is cut, or has no pictures: said when it is opened
        calibration.check_image_size(header.image_size, str(folder))
    if calibration.synthetic != header.synthetic:
        made_by, fitted_on = ("the twin", "a real rig") if header.synthetic else ("a real rig", "the twin")
        raise DatasetError(
            f"{folder}: recorded by {made_by}, but the calibration was made on {fitted_on}; run `lrt calibrate` "
            "on clips of the same rig"
        )


def _mounting(header: ClipHeader) -> str:
    """What of the rig's settings a calibration rests on, in words."""
    sensor, camera = header.rig.get("sensor", {}), header.rig.get("camera", {})
    mirrored = ", mirrored" if sensor.get("mirror") else ""
    kinds = f"sensor {sensor.get('kind', 'unknown')}, camera {camera.get('kind', 'unknown')}"
    return f"{kinds}, turned by {sensor.get('rotation', 0)} degrees{mirrored}"


def _admit(folder: Path, header: ClipHeader, ledger: Ledger, config: BuildConfig) -> Given:
    """The clip with what the ledger says of it; a twin's needs nobody's consent."""
    refusal = None
    if not header.synthetic:
        refusal = ledger.refuse(header.consent, config.scope, today(), header.sha256 or "")
    name = name_clip(header.sha256 or "") if config.scope == PUBLISH else header.clip_id
    return Given(
        folder=folder,
        header=header,
        name=name,
        subject=ledger.subject(header.consent),
        refusal=refusal,
        noted=header.synthetic or not ledger.unknown(header.consent),
    )


def join_vocabulary(given: dict[str, Given]) -> Vocabulary:
    """The vocabulary that fits all clips; every tag is one of its labels."""
    vocabulary = join_vocabularies({clip_id: each.header.vocabulary for clip_id, each in given.items()})
    for each in given.values():
        try:
            vocabulary.check(each.header.clothing, each.header.lighting, each.header.occupants)
        except TagError as error:
            raise TagError(f"{each.folder}: {error}") from error
    return vocabulary
