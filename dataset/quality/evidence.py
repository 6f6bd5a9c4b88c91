"""What is measured of one clip, once, for all judges."""

from functools import cached_property

import numpy as np

from ...calibration.geometry import Calibration
from ...rig.clip import Clip, ClipError
from ...rig.jpeg import decode_jpeg
from .measures import Look, Pace, find_dead_pixels, find_repeats, look_at, measure_pace, reduction
from .rules import QualityRules

# why a heatmap must not become a pair
STALE, OUT_OF_RANGE, STRAY, FROZEN = "stale read", "out of the sensor's range", "stray pixel", "repeated picture"

_PIXEL_OVERFLOWED = 0x04  # of a heatmap's status, see rig.records.OVERFLOWS
_STAMP_BYTES = 10  # of an image's message at most; its length differs with the time


class Evidence:
    """What there is to know of a clip.

    Attributes:
        recording, rules, calibration: as given.
        heatmaps: N of them.
        celsius: (N, 8, 8) float32, degC, the sensor's own order.
        heat_ns, image_ns: (N,) and (M,) int64, ns.
        heat_index, image_index, error_ns: pairs, as `Clip.pair_index` gives them.
    """

    def __init__(self, recording: Clip, rules: QualityRules, calibration: Calibration | None) -> None:
        self.recording, self.rules, self.calibration = recording, rules, calibration
        self.heatmaps = recording.heatmaps()
        self.celsius = np.array([heatmap.celsius for heatmap in self.heatmaps], np.float32).reshape(-1, 8, 8)
        self.heat_ns, self.image_ns = recording.heat_times_ns, recording.image_times_ns
        offset_ms = calibration.offset_ms if calibration else 0.0
        self.heat_index, self.image_index, self.error_ns = recording.pair_index(rules.max_gap_ms, offset_ms)

    @property
    def has_both(self) -> bool:
        """Whether there are two heatmaps and two pictures, without which nothing has a pace."""
        return len(self.heat_ns) > 1 and len(self.image_ns) > 1

    @cached_property
    def heat_pace(self) -> Pace:
        """Of the heatmaps."""
        sequence = np.array([heatmap.sequence for heatmap in self.heatmaps], np.int64)
        return measure_pace(self.heat_ns, sequence, self._span_ns, self.rules.gap)

    @cached_property
    def image_pace(self) -> Pace:
        """Of the pictures."""
        return measure_pace(self.image_ns, self.recording.image_sequences, self._span_ns, self.rules.gap)

    @property
    def _span_ns(self) -> int:
        return int(np.ptp(np.concatenate([self.heat_ns, self.image_ns])))

    @cached_property
    def unusable(self) -> dict[str, np.ndarray]:
        """{reason: (N,) bool}, of the reasons that hold for any."""
        if not self.heatmaps:
            return {}
        c, rules = self.celsius, self.rules
        status = np.array([heatmap.status for heatmap in self.heatmaps], np.int64)
        outside = ((c < rules.coldest_c) | (c > rules.warmest_c)).any(axis=(1, 2)) | (status & _PIXEL_OVERFLOWED > 0)
        stray = (np.abs(c - np.median(c, axis=0)) > rules.stray_c) | (c <= rules.stray_low_c)
        beside_repeated = np.zeros(len(c), bool)
        beside_repeated[self.heat_index[self.repeated[self.image_index]]] = True
        masks = {
            STALE: find_repeats(c),
            OUT_OF_RANGE: outside,
            STRAY: stray.any(axis=(1, 2)) & ~outside,
            FROZEN: beside_repeated,
        }
        return {reason: mask for reason, mask in masks.items() if mask.any()}

    @cached_property
    def good(self) -> np.ndarray:
        """(K, 8, 8) float32, degC: the heatmaps that show what was there."""
        bad = [mask for reason, mask in self.unusable.items() if reason != FROZEN]
        return self.celsius[~np.any(bad, axis=0)] if bad else self.celsius

    @cached_property
    def dead(self) -> np.ndarray:
        """(8, 8) bool: see `measures.find_dead_pixels`."""
        return find_dead_pixels(self.good if len(self.good) else self.celsius)

    @cached_property
    def repeated(self) -> np.ndarray:
        """(M,) bool: pictures that are the one before, to the byte; a camera's noise makes any two differ."""
        lengths = self.recording.image_bytes
        repeated = np.zeros(len(lengths), bool)
        for index in np.flatnonzero(np.abs(np.diff(lengths)) < _STAMP_BYTES) + 1:  # a few in a hundred: others differ
            repeated[index] = self.recording.jpeg(int(index)) == self.recording.jpeg(int(index) - 1)
        return repeated

    @cached_property
    def looks(self) -> list[Look]:
        """Of pictures spread evenly over the clip.

        Raises:
            ClipError: one cannot be decoded.
        """
        count = min(self.rules.looks, len(self.image_ns), max(1, len(self.heatmaps) // 4))
        return [self._look(int(index)) for index in np.linspace(0, len(self.image_ns) - 1, count).round()]

    def _look(self, index: int) -> Look:
        header = self.recording.header
        width = header.image_size[0] if header.image_size else 0
        try:
            return look_at(decode_jpeg(self.recording.jpeg(index), reduction(width), gray=True))
        except ValueError as error:
            raise ClipError(f"clip {header.clip_id}: image {index}: {error}") from error
