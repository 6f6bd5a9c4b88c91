"""What a power cut leaves of clips that were being recorded, and whether lrt keeps its word about them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vm_powercut import Cut, mend, read_tree

from lrt.rig.clip import ClipError, ClipHeader, open_clip, recover_cut_clips, verify_clip
from lrt.rig.clip.header import FINISHED, PARTIAL, RECOVERED, is_as_written

NS = 1e9


@dataclass
class Verdict:
    """What many cuts came to.

    Attributes:
        cuts: how many.
        unflushed: cuts at which something was written and not flushed.
        unmendable: disks that e2fsck could not mend.
        acknowledged_lost: cuts that lost records of which a sync had returned, or a clip that had been finished.
        damaged: cuts after which a clip was not whole once recovered, or its clip.json was not.
        lost_s: of each cut within a clip: from the newest record recovered to the newest the devices had given.
        behind_s: of the same: to the moment of the cut.
        recovered, finished: clips found so, over all cuts.
        faults: what was wrong, a line each.
        whole: of clips that were found whole, the hash of all their bytes: most are the same at the next cut.
    """

    cuts: int = 0
    unflushed: int = 0
    unmendable: int = 0
    acknowledged_lost: int = 0
    damaged: int = 0
    recovered: int = 0
    finished: int = 0
    lost_s: list[float] = field(default_factory=list)
    behind_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    whole: set[bytes] = field(default_factory=set)


def judge_cuts(cuts: Iterable[Cut], work: Path) -> Verdict:
    """Mend each disk, recover its clips as the rig's next start would, and hold them against what was promised."""
    verdict = Verdict()
    for cut in cuts:
        verdict.cuts += 1
        verdict.unflushed += bool(cut.pending)
        mended, said = mend(cut.image)
        if not mended:
            verdict.unmendable += 1
            verdict.faults.append(f"cut {cut.number}: e2fsck: {said.splitlines()[-1] if said else 'silent'}")
            continue
        read_tree(cut.image, "/clips", work / "tree")
        _judge(cut, work / "tree/clips", verdict)
    return verdict


def _judge(cut: Cut, clips: Path, verdict: Verdict) -> None:
    broken = _broken_headers(clips)
    _, refusals = recover_cut_clips(clips)
    found: dict[str, ClipHeader] = {}
    for folder in sorted(clips.iterdir()) if clips.is_dir() else []:
        if folder.name.endswith(PARTIAL):
            continue
        try:
            found[folder.name] = ClipHeader.read(folder)
            content = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).digest()
            if content not in verdict.whole:
                problems = verify_clip(folder).problems
                broken += [f"{folder.name}: {problem}" for problem in problems]
                if not problems:
                    verdict.whole.add(content)
        except ClipError as error:
            broken.append(str(error))
    verdict.finished += sum(header.state == FINISHED for header in found.values())
    verdict.recovered += sum(header.state == RECOVERED for header in found.values())
    lost = _broken_promises(cut.mark, found)
    verdict.damaged += bool(broken)
    verdict.acknowledged_lost += bool(lost)
    why = [str(refusal) for refusal in refusals] if lost else []
    verdict.faults += [f"cut {cut.number} before request {cut.entry}: {each}" for each in (*broken, *lost, *why)]
    clip_id = cut.mark.get("clip")
    if clip_id:
        newest_ns = cut.mark["begun_ns"]
        if clip_id in found:
            clip = open_clip(clips / clip_id)
            stamps = [times[-1] for times in (clip.heat_times_ns, clip.image_times_ns) if len(times)]
            newest_ns = max([newest_ns, *map(int, stamps)])
        verdict.lost_s.append(max(0.0, (cut.mark["newest_ns"] - newest_ns) / NS))
        verdict.behind_s.append((cut.mark["now_ns"] - newest_ns) / NS)


def _broken_headers(clips: Path) -> list[str]:
    """A clip.json is whole wherever it is; a folder without one holds nothing that anybody was told of."""
    broken = []
    for path in sorted(clips.glob("*/clip.json")):
        try:
            if not is_as_written(path.parent):
                broken.append(f"{path.parent.name}/clip.json is not as it was written")
        except (OSError, ValueError) as error:
            broken.append(f"{path.parent.name}/clip.json: {error}")
    return broken


def _broken_promises(mark: dict, found: dict[str, ClipHeader]) -> list[str]:
    lost = []
    done = mark.get("finished") or {}
    if done:
        header = found.get(done["clip"])
        if header is None or header.state != FINISHED or header.sha256 != done["sha256"]:
            lost.append(f"{done['clip']} had been finished, and is {header.state if header else 'not there'}")
    synced = mark.get("synced") or {}
    if synced and synced["clip"] != done.get("clip"):
        header = found.get(synced["clip"])
        for what in ("heatmaps", "images"):
            held = header.counts[what] if header else 0
            if held < synced[what]:
                lost.append(f"{synced['clip']}: {synced[what]} {what} had been synced, {held} are left")
    return lost
