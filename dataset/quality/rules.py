"""What is asked of a clip, and the form of an answer."""

from dataclasses import dataclass, field
from datetime import date

from ..consent import SCOPES, ConsentError, Ledger, today

OK, WARN, FAIL = LEVELS = ("ok", "warn", "fail")


@dataclass(frozen=True)
class QualityRules:
    """Where a clip stops being good. Shares are 0..1, of heatmaps or of pictures."""

    most_broken: float = 0.5  # share that may be bad in one way; above it the clip fails: more is bad than good
    least_heatmaps: int = 30  # 3 s; of fewer nothing is said that takes time to see
    gap: float = 1.5  # usual distances of two frames; above it one is missing between them
    most_gaps: float = 0.005  # share of distances; one heatmap in 20 s
    longest_gap: float = 10.5  # usual distances; a second of heat
    most_missing: float = 0.02  # share; what `lrt check` calls amber
    most_left_out: float = 0.01  # share of heatmaps that are stale, out of range or stray
    coldest_c: float = 0.0  # degC; AMG8833 datasheet: it measures 0 to 80
    warmest_c: float = 80.0  # degC
    stray_c: float = 20.0  # K from the pixel's own median; in a room nothing warms up so much between two heatmaps
    stray_low_c: float = 0.5  # degC; owners of the sensor report stray readings of 0, 0.25 and 0.5
    most_dead: int = 4  # pixels; more than half a row is a fault of the board
    most_clipped: float = 0.05  # share of values outside the range that a model sees
    most_drift_c: float = 1.0  # K that the sensor's own temperature may move; its readings follow it
    most_skew_ppm: float = 100.0  # between the streams' stamps; two quartz clocks are nearer than that
    skew_images: float = 1.5  # image periods that they must have moved apart: the order of arrival tells no less
    looks: int = 24  # pictures that are decoded to be looked at, at most one of four heatmaps
    most_odd_looks: float = 0.1  # share of those that may be black, white or blurred
    black: float = 20.0  # of 255, below which 95 % of a black picture lie; 130 in the twin's dim room
    white: float = 0.4  # share of a picture that is white; 0.05 in the twin's bright room
    sharp: float = 0.06  # `Look.sharp`; twin and two real videos: 0.15 and more, blurred by a published pixel 0.1
    most_repeats: float = 0.02  # share of pictures that are the one before
    max_gap_ms: float = 50.0  # a heatmap whose nearest picture is further off has none; as `BuildConfig` has it
    most_unpaired: float = 0.05  # share of heatmaps without a picture
    most_error_ms: float = 35.0  # 95 % of pairs are nearer; 33 at 15 pictures/s, 17 at 30
    body_c: float = 1.5  # K by which a body stands out; the twin's empty rooms reach 1.4
    body_moves_c: float = 1.0  # K by which a moving one does; the twin's empty rooms reach 0.9
    warm_thing_c: float = 2.0  # K by which a room's warmest place may stand out all the time, nobody in it
    least_body: float = 0.02  # share of heatmaps with somebody, of a clip tagged so; a person may come in late
    most_body: float = 0.01  # likewise, of a clip tagged empty, before it is looked at
    most_visits: float = 0.05  # likewise, before it fails: half a second in ten
    most_bus_errors: float = 0.01  # failed reads a heatmap; the driver repeats them


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Attributes:
        rule: its name, as `BuildConfig.allow` takes it.
        level: ok, warn or fail.
        says: what was found.
        do: the one thing to do; empty if ok.
        share: of the heatmaps, pictures or pixels that it is about, 0..1.
        noted: what the rig wrote down of it, which may name devices by their serial numbers; `says` names none.
    """

    rule: str
    level: str
    says: str
    do: str = ""
    share: float = 0.0
    noted: str = ""


@dataclass(frozen=True)
class Purpose:
    """What a clip is wanted for.

    Attributes:
        ledger: the consents of its folder.
        scope: how far the dataset goes, one of `consent.SCOPES`.
        on: the day.

    Raises:
        ConsentError: no such scope.
    """

    ledger: Ledger
    scope: str = SCOPES[0]
    on: date = field(default_factory=today)

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ConsentError(f"scope '{self.scope}' is not known; choose one of {', '.join(SCOPES)}")
