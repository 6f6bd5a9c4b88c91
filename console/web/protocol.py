"""The clips that a rig's data wants: every clothing in every light (paper, Table 2), what is there and what is not."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from ...dataset.consent import Ledger, split_consents, today
from ...dataset.tags import Vocabulary
from ...rig.clip import check_clip_id
from ...rig.clip.header import ClipError
from ...rig.health import RED
from .desk import Wish
from .library import WHOLE, Shown

DONE, DOUBTFUL, MISSING = "done", "doubtful", "missing"


def tell_protocol(vocabulary: Vocabulary, shown: Sequence[Shown], synthetic: bool, room: str) -> dict[str, Any]:
    """The table of clothing by lighting.

    A cell is done with one whole clip of somebody that the rules do not fail; doubtful while none has been looked at,
    or all fail.

    Args:
        shown: the clips there are.
        synthetic: whether the twin records: its clips and a real rig's do not fill each other's table.
        room: where the technician is; it begins the ids that are proposed.
    """
    taken = {each.summary.folder.name.removesuffix(".partial") for each in shown}
    cells = [
        [_tell_cell(clothing, lighting, shown, synthetic, room, taken) for lighting in vocabulary.lighting]
        for clothing in vocabulary.clothing
    ]
    flat = [cell for row in cells for cell in row]
    return {
        "rows": list(vocabulary.clothing),
        "columns": list(vocabulary.lighting),
        "cells": cells,
        "done": sum(cell["state"] == DONE for cell in flat),
        "total": len(flat),
    }


def _tell_cell(
    clothing: str, lighting: str, shown: Sequence[Shown], synthetic: bool, room: str, taken: Collection[str]
) -> dict[str, Any]:
    clips = [
        each
        for each in shown
        if each.summary.state in WHOLE
        and each.header is not None
        and (each.header.clothing, each.header.lighting) == (clothing, lighting)
        and each.header.occupants > 0
        and each.header.synthetic == synthetic
    ]
    good = [each for each in clips if each.quality is not None and each.quality["level"] != RED]
    return {
        "state": DONE if good else DOUBTFUL if clips else MISSING,
        "clips": [each.summary.clip_id for each in clips],
        "seconds": round(sum(each.summary.seconds or 0.0 for each in clips), 1),
        "proposed": propose_id(room, clothing, lighting, taken),
    }


def propose_id(room: str, clothing: str, lighting: str, taken: Collection[str]) -> str:
    """A clip id that nobody has: `kitchen-red-bright`, then `kitchen-red-bright-2`."""
    words = [re.sub(r"[^A-Za-z0-9_-]+", "-", word).strip("-_") for word in (room or "clip", clothing, lighting)]
    base = "-".join(word for word in words if word)[:48] or "clip"
    try:
        check_clip_id(base)
    except ClipError:
        base = "clip"
    number = 1
    while (clip_id := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return clip_id


def propose(table: dict[str, Any], shown: Sequence[Shown], before: Wish | None, ledger: Ledger) -> dict[str, Any]:
    """What to record next: the first cell that is missing, then the first doubtful one, else one more of the first.

    Args:
        table: of `tell_protocol`.
        before: the wish before, whose consent and room are proposed again; without one, the newest clip's.
        ledger: of the folder; with nothing recorded yet, its first consent that holds is proposed.
    """
    cells = [
        (cell, clothing, lighting)
        for clothing, row in zip(table["rows"], table["cells"], strict=True)
        for lighting, cell in zip(table["columns"], row, strict=True)
    ]
    order = {MISSING: 0, DOUBTFUL: 1, DONE: 2}
    cell, clothing, lighting = min(cells, key=lambda each: order[each[0]["state"]])
    last = before.header if before is not None else next((each.header for each in shown if each.header), None)
    known = next((each.consent_id for each in ledger.consents if each.refuse("internal", today()) is None), "")
    return {
        "clip_id": cell["proposed"],
        "clothing": clothing,
        "lighting": lighting,
        "occupants": 1,
        "consent": last.consent if last is not None else known,
        "room": last.room if last is not None else "",
    }


def tell_consents(ledger: Ledger, shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """The consents of the ledger, then those that clips name and the ledger does not know; each once."""
    day = today()
    told = []
    for consent in ledger.consents:
        reason = consent.refuse("internal", day)
        says = reason or f"{consent.subject}, {consent.scope}" + (
            f", until {consent.expires}" if consent.expires is not None else ""
        )
        told.append({"id": consent.consent_id, "holds": reason is None, "says": says})
    named = dict.fromkeys(one for each in shown if each.header for one in split_consents(each.header.consent))
    for consent_id in named:
        if ledger.find(consent_id) is None:
            stone = ledger.tombstone(consent_id=consent_id)
            says = f"of a person removed on {stone.removed}" if stone else "not in the ledger"
            told.append({"id": consent_id, "holds": stone is None, "says": says})
    return told
