"""Every rule on one clip."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...calibration.geometry import Calibration
from ...rig.clip import Clip
from ..tags import DEFAULT, Vocabulary
from . import judges
from .evidence import Evidence
from .rules import FAIL, LEVELS, OK, WARN, Finding, Purpose, QualityRules

RULES = (
    *("tags", "consent", "calibration", "length", "recovered", "times", "clock-drift"),
    *("heat-gaps", "heat-missing", "picture-gaps", "picture-missing", "pairing"),
    *("stale-heat", "heat-range", "stray-pixels", "model-range", "dead-pixels", "sensor-drift", "warmth"),
    *("black", "overexposed", "blurred", "frozen-pictures"),
    *judges.EVENTS,
)


@dataclass(frozen=True, eq=False)
class ClipQuality:
    """What the rules found in a clip.

    Attributes:
        clip_id: its name.
        findings: of every rule that was looked at, ok too.
        unusable: {reason: (heatmaps,) bool, those that must not become pairs}, in the order of `Clip.heatmaps`;
            reasons that hold for none are left away, and a heatmap may have several.
    """

    clip_id: str
    findings: tuple[Finding, ...]
    unusable: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """The worst of the findings: ok, warn or fail."""
        return max((finding.level for finding in self.findings), key=LEVELS.index, default=OK)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are to be looked at."""
        return tuple(finding for finding in self.findings if finding.level == WARN)

    def failures(self, allow: Collection[str] = ()) -> tuple[Finding, ...]:
        """The findings for which the clip is to be left out.

        Args:
            allow: rules that it may fail.
        """
        return tuple(finding for finding in self.findings if finding.level == FAIL and finding.rule not in allow)

    def as_dict(self) -> dict[str, Any]:
        """Level, findings and counts of unusable heatmaps, in values that JSON can hold."""
        return {
            "level": self.level,
            "findings": [asdict(finding) for finding in self.findings],
            "unusable": {reason: int(mask.sum()) for reason, mask in self.unusable.items()},
        }


def inspect_clip(
    recording: Clip,
    rules: QualityRules | None = None,
    *,
    calibration: Calibration | None = None,
    vocabulary: Vocabulary = DEFAULT,
    consent: Purpose | None = None,
) -> ClipQuality:
    """Hold a clip against every rule. Costs less than a millisecond of CPU a heatmap.

    Args:
        recording: open, and so whole to the byte.
        rules: the thresholds.
        calibration: what the clip will be cut by; None: not looked at.
        vocabulary: what the tags must be in.
        consent: what it is wanted for; None: not looked at.

    Raises:
        ClipError: a picture cannot be decoded.
    """
    seen = Evidence(recording, rules or QualityRules(), calibration)
    findings = [
        *judges.judge_tags(seen, vocabulary),
        *judges.judge_consent(seen, consent),
        *judges.judge_calibration(seen),
        *judges.judge_recording(seen),
    ]
    if seen.has_both:  # else that is all there is to say
        findings += [
            *judges.judge_times(seen),
            *judges.judge_paces(seen),
            *judges.judge_pairing(seen),
            *judges.judge_heat(seen),
            *judges.judge_sensor(seen),
            *judges.judge_warmth(seen),
            *judges.judge_pictures(seen),
        ]
    findings += judges.judge_events(seen)
    return ClipQuality(recording.header.clip_id, tuple(findings), seen.unusable)
