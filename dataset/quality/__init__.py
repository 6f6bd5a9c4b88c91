"""Is a clip fit for a dataset? Rules that `lrt clips verify` and the build share: each says ok, warn or fail.

A warning is to be looked at; a clip that fails is left out. Single heatmaps that must not become pairs, like stale
reads, are told apart from that, with the reason.

    rules.py     thresholds, each with its reason, and the form of an answer
    measures.py  what numbers say: functions on arrays
    evidence.py  what is measured of one clip, once
    judges.py    the rules
    inspect.py   all of them on one clip
"""

from .evidence import FROZEN, OUT_OF_RANGE, STALE, STRAY
from .inspect import RULES, ClipQuality, inspect_clip
from .rules import FAIL, LEVELS, OK, WARN, Finding, Purpose, QualityRules

__all__ = [
    "FAIL",
    "FROZEN",
    "LEVELS",
    "OK",
    "OUT_OF_RANGE",
    "RULES",
    "STALE",
    "STRAY",
    "WARN",
    "ClipQuality",
    "Finding",
    "Purpose",
    "QualityRules",
    "inspect_clip",
]
