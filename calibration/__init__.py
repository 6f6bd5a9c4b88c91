"""Person masks, and the fit that lays heat over picture.

    import lrt.calibration

    fit = lrt.calibration.fit(heatmaps, masks, image_size)

heatmaps are (N, R, C) in degC, masks (N, h, w) bool over the whole image, image_size (width, height) in px; see
`lrt.calibration.fitting.fit_calibration`, which it is. The import itself is light: numpy, scipy and OpenCV come with
the first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fitting import Fit, FitConfig
    from .fitting import fit_calibration as fit
    from .geometry import Calibration, CalibrationError, read_calibration, write_calibration
    from .lag import HeatmapSeries

__all__ = [
    "Calibration", "CalibrationError", "Fit", "FitConfig", "HeatmapSeries", "fit", "read_calibration",
    "write_calibration",
]  # fmt: skip

_HOME = {
    "Calibration": "geometry",
    "CalibrationError": "geometry",
    "Fit": "fitting",
    "FitConfig": "fitting",
    "HeatmapSeries": "lag",
    "read_calibration": "geometry",
    "write_calibration": "geometry",
}


def __getattr__(name: str) -> Any:
    """What is asked for, imported then: most of lrt needs a calibration's errors and not its solver."""
    from importlib import import_module

    if name == "fit":
        return import_module(".fitting", __name__).fit_calibration
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
