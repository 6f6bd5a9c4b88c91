"""The clip on disk: written, read, looked after."""

from .care import ClipReport, ClipSummary, list_clips, verify_clip
from .edit import finish_removals, mend_tags, remove_clip
from .header import LOG_NAME, ClipError, ClipHeader, check_clip_id, check_free_tag
from .mend import recover_clip, recover_cut_clips
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
    "check_free_tag",
    "finish_removals",
    "list_clips",
    "mend_tags",
    "open_clip",
    "orient",
    "recover_clip",
    "recover_cut_clips",
    "remove_clip",
    "verify_clip",
]
