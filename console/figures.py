"""The figures of an evaluation as rows, each with its bounds: what the terminal and the page both show."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

Goal = Literal["real", "floor"]


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: in words, with its unit.
        value: None: it could not be told, and `absent` says why.
        digits: behind the point.
        low, high: 95 % interval over clips.
        real: what real pictures give.
        floor: what chance gives, and `floor_name` what that is.
        best, worst: what a perfect generator would reach, and one that fails altogether: the ends of its bar.
        absent: instead of a figure.
    """

    name: str
    value: float | None
    digits: int = 2
    low: float | None = None
    high: float | None = None
    real: float | None = None
    floor: float | None = None
    floor_name: str = "shuffled"
    best: float | None = None
    worst: float | None = None
    absent: str = ""

    @property
    def figure(self) -> str:
        """The value and its interval."""
        if self.value is None:
            return self.absent
        within = "" if self.low is None or self.high is None else f" [{self.show(self.low)} .. {self.show(self.high)}]"
        return f"{self.show(self.value)}{within}"

    @property
    def bounds(self) -> str:
        """What it stands between."""
        if self.value is None:
            return ""
        named = (("real", self.real), (self.floor_name, self.floor))
        return ", ".join(f"{name} {self.show(bound)}" for name, bound in named if bound is not None)

    def show(self, value: float) -> str:
        """A value with as many digits as this figure has."""
        return f"{value:.{self.digits}f}"

    def place(self, value: float | None) -> float | None:
        """Where a value lies on the way from `worst`, 0, to `best`, 1; None without the two, or with them alike."""
        if value is None or self.best is None or self.worst is None:
            return None
        length = self.best - self.worst
        return None if abs(length) < 0.5 * 10**-self.digits else (value - self.worst) / length


@dataclass(frozen=True)
class Group:
    """Figures that belong together.

    Attributes:
        title: what they are of, in a line.
        rows: the figures.
        notes: what must be known to read them, a line each.
    """

    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def group_figures(result: dict[str, Any]) -> list[Group]:
    """All figures of one evaluation, as `measuring.evaluate` returned it."""
    groups = [_reconstruction(result), _alignment(result)]
    for key, describe in (("control", _control), ("silhouette", _silhouette), ("distances", _distances)):
        if result[key] is not None:
            groups.append(describe(result[key]))
    if result["memory"] is not None:
        groups.append(_memory(result["memory"]))
    return groups


def _reconstruction(result: dict[str, Any]) -> Group:
    found = result["reconstruction"]
    rows = [
        Row(
            "reconstruction error, 0..1",
            result["mae"],
            4,
            found["mae_low"],
            found["mae_high"],
            floor=found["mae_of_source"],
            floor_name="source shown for every heatmap",
            best=0.0,
            worst=found["mae_of_source"],
        ),
        Row("by batches of 128, as the published 0.0272", found["mae_of_batches"], 4),
        Row("by frames, which corrects that", found["mae_of_frames"], 4),
        Row("rank of the source frame, 0 best, 1 worst", found["source_rank"]),
    ]
    notes = []
    if result["regression"]:
        rows = rows[:-1]
        notes.append("a regression takes no code: what would follow a source, and the grid's columns, do not apply")
    if (known := result["clips_trained_on"]) is not None:
        notes.append(f"the run was trained on {known} of them")
    if untrimmed := len(found["untrimmed_clips"]):
        notes.append(
            f"{_clips(untrimmed)} of fewer than 150 frames used whole; the published figure leaves out 50 at each end"
        )
    return Group(f"redrawn from one picture each: {_clips(result['clips'], result['split'])}", rows, notes)


def _alignment(result: dict[str, Any]) -> Group:
    rows = [
        _between(
            "heat-image correlation",
            result["heat_image_correlation"],
            result["heat_image_correlation_real"],
            result["heat_image_correlation_shuffled"],
        ),
    ]
    if not result["regression"]:
        rows.append(Row("difference that the code makes, 0..1", result["z_diversity"], real=result["z_diversity_real"]))
    return Group("whether pictures change where the heat does, and with the code", rows)


def _control(control: dict[str, Any]) -> Group:
    rows = [
        _bounded("warmth off the heatmap's, degC", control["warmth_error_c"], "real"),
        _bounded("clothing of the source", control["clothing_accuracy"], "real"),
        _bounded("light of the source", control["lighting_accuracy"], "real"),
        _bounded("clothing of the heatmap's clip instead", control["clothing_of_heat"], "floor"),
        _bounded("heat found in the code, R2", control["code_heat_r2"], "floor"),
        Row("warmth that moves with the source, degC", control["warmth_spread_c"]),
    ]
    if empty := control["empty"]:
        rows.append(_bounded("sources of empty rooms: warmth off, degC", empty["warmth_error_c"], "real"))
        rows.append(_bounded("sources of empty rooms: light", empty["lighting_accuracy"], "real"))
    notes = [f"{empty['sources']} of the sources show an empty room"] if empty else []
    if lost := [name for name, share in control["clothing_recall"].items() if share == 0]:
        notes.append(f"never drawn when asked for: {', '.join(lost)}")
    saw = ", which learned from some of these clips" if control["judge_saw_these_clips"] else ""
    return Group(
        f"{control['sources']} sources, {control['heatmaps']} heatmaps of other clips, {control['pictures']} pictures, "
        f"read by a small network{saw}",
        rows,
        notes,
    )


def _silhouette(found: dict[str, Any]) -> Group:
    nobody = "nobody was found in the real pictures"
    rows = [
        _bounded("overlap with the real silhouette, IoU", found["iou"], "real", nobody),
        _bounded("somebody drawn where somebody was", found["detected"], "real", nobody),
        _bounded("somebody drawn into an empty room", found["false_person"], "real", "no clips of an empty room"),
    ]
    return Group(
        f"people in {found['pictures']} drawn pictures, as the segmenter '{found['segmenter']}' finds them", rows
    )


def _distances(distances: dict[str, Any]) -> Group:
    pair = ("fid", "kid") if "fid" in distances else ("frechet_distance", "kernel_distance")
    rows = []
    for name, digits in zip((*pair, "precision", "recall"), (2, 4, 2, 2), strict=True):
        one = distances[name]
        shown = name.upper() if name in ("fid", "kid") else name.replace("_", " ").capitalize()
        best: float | None = distances.get(f"{name}_of_real")
        rows.append(Row(shown, one["value"], digits, one["low"], one["high"], real=best))
    notes = []
    if distances["fewer_than_features"]:
        notes.append("fewer pictures than features: of the two distances trust the kernel's, or raise --pictures")
    return Group(
        f"{distances['pictures']} drawn and {distances['pictures']} real pictures, {distances['features']}", rows, notes
    )


def _memory(memory: dict[str, Any]) -> Group:
    def row(name: str, one: dict[str, Any] | None, worst: float) -> Row:
        if one is None:
            return Row(name, None, absent="the run has no discriminator")
        chance = one["chance"]
        return Row(
            name,
            one["value"],
            low=one["low"],
            high=one["high"],
            floor=chance,
            floor_name="remembering nothing",
            best=chance,
            worst=worst,
        )

    rows = [
        row("nearest real picture was trained on, share", memory["nearest_trained"], 1.0),
        row("distance to trained over held out", memory["distance_ratio"], 0.0),
        row("attack by D's score, AUC", memory["attack_by_discriminator"], 1.0),
        row("attack by reconstruction, AUC", memory["attack_by_reconstruction"], 1.0),
    ]
    return Group(
        f"what the run remembers: {_clips(memory['trained'])} trained on against {memory['held_out']} that were not",
        rows,
    )


def _bounded(
    name: str, one: dict[str, Any] | None, goal: Goal, absent: str = "no labels, or no other clips, to tell by"
) -> Row:
    """A `Bounded` of evaluation.json; `goal`: which of its bounds a perfect generator reaches."""
    if one is None:
        return Row(name, None, absent=absent)
    row = _between(name, one["value"], one["real"], one["shuffled"], goal)
    return replace(row, low=one["low"], high=one["high"])


def _between(name: str, value: float, real: float, shuffled: float, goal: Goal = "real") -> Row:
    best, worst = (real, shuffled) if goal == "real" else (shuffled, real)
    return Row(name, value, real=real, floor=shuffled, best=best, worst=worst)


def _clips(count: int, kind: str = "") -> str:
    """`1 test clip`, `7 test clips`."""
    return f"{count} {kind} {'clip' if count == 1 else 'clips'}".replace("  ", " ")


def describe_sides(result: dict[str, Any]) -> str:
    """What stands against what, in a line."""
    seen, unseen = result["seen"], result["unseen"]
    how = "trained on" if result["seen_was_trained_on"] else "like those trained on, but held out"
    return f"{result['named']}: {_clips(seen['clips'])} {how} (seen), {unseen['clips']} of what it never saw (unseen)"


def pair_figures(result: dict[str, Any]) -> list[tuple[Row, Row]]:
    """Each figure of what was seen beside the same of what was not.

    Args:
        result: as `measuring.evaluate` returned it of two sides.
    """
    unseen = {row.name: row for group in group_figures(result["unseen"]) for row in group.rows}
    seen = [row for group in group_figures(result["seen"]) for row in group.rows]
    return [(row, unseen[row.name]) for row in seen if row.name in unseen]


def gap_row(result: dict[str, Any]) -> Row:
    """By how much the reconstruction error of what was not seen is above the other."""
    gap = result["mae_gap"]
    return Row("reconstruction error, unseen less seen", gap["value"], 4, gap["low"], gap["high"])
