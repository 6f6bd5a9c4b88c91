"""What a phone is told when it may not have what it asked for: one line for people, one word for the page."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from ... import LrtError
from ...calibration.geometry import CalibrationError
from ...dataset.consent import ConsentError
from ...dataset.tags import TagError
from ...rig.clip import ClipError
from ...rig.records import RigError

STATUS = {
    "bad": 400,
    "token": 401,
    "foreign": 403,
    "missing": 404,
    "busy": 409,
    "unfit": 409,
    "seat": 409,
    "exists": 409,
    "gone": 410,
    "consent": 422,
    "tags": 422,
    "rate": 429,
    "fault": 500,
    "full": 507,
}
_CODES: tuple[tuple[type[LrtError], str], ...] = (
    (TagError, "tags"),
    (ConsentError, "consent"),
    (RigError, "unfit"),
    (ClipError, "bad"),
    (CalibrationError, "bad"),
)


class RefusedError(LrtError):
    """A request that is not granted.

    Args:
        code: one of STATUS.
        says: one line for people.
        status: of HTTP, where it is not the code's own.
    """

    def __init__(self, code: str, says: str, status: int | None = None) -> None:
        super().__init__(says)
        self.code, self.status = code, status or STATUS[code]


def find_code(error: LrtError) -> str:
    """The word for an error, as the page tells them apart."""
    if isinstance(error, RefusedError):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), "bad")


def answer(error: LrtError) -> JSONResponse:
    """The response that tells of an error."""
    code = find_code(error)
    status = error.status if isinstance(error, RefusedError) else STATUS[code]
    return JSONResponse({"error": " ".join(str(error).split()), "code": code}, status)


async def on_error(_: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for an `LrtError`."""
    if not isinstance(error, LrtError):
        raise error
    return answer(error)


async def on_missing(_: Request, __: Exception) -> JSONResponse:
    """Starlette's handler for a route that is none, or not by this method."""
    return JSONResponse({"error": "there is nothing here", "code": "missing"}, 404)


async def on_fault(_: Request, __: Exception) -> JSONResponse:
    """Starlette's handler for a bug of ours, whose traceback goes to the daemon's own output."""
    return JSONResponse({"error": "a fault of the console's own; the rig goes on", "code": "fault"}, STATUS["fault"])
