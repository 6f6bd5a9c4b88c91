"""The clip on disk: written, read, looked after."""

from .care import ClipReport, ClipSummary, list_clips, recover_clip, verify_clip
from .header import LOG_NAME, ClipError, ClipHeader, check_clip_id
from .read import Clip, open_clip, orient
from .write import ClipWriter

__all__ = [
    "LOG_NAME",
    "Clip",
    "ClipError",
    "ClipHeader",
    "ClipReport",
    "ClipSummary",
    "ClipWriter",
    "check_clip_id",
    "list_clips",
    "open_clip",
    "orient",
    "recover_clip",
    "verify_clip",
]
