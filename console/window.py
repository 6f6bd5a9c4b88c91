"""A window that shows drawn pictures, by Python's own tkinter: the OpenCV that lrt takes has none."""

import threading
from typing import TYPE_CHECKING

import numpy as np

from .. import LrtError

if TYPE_CHECKING:
    from ..model.live import Shown


class WindowError(LrtError, RuntimeError):
    """There is no window to be had here."""


class Window:
    """A window; all of it is called from the thread that made it.

    Args:
        title: what it is called.
        scale: every pixel of a picture becomes scale x scale.
        stop: set when somebody closes it.

    Raises:
        WindowError: no screen, or a Python without tkinter.
    """

    def __init__(self, title: str, scale: int, stop: threading.Event) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise WindowError("this Python has no windows (Debian: apt install python3-tk)") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise WindowError("there is no screen to open a window on") from error
        self._root.title(title)
        self._scale, self._stop, self._tkinter = scale, stop, tkinter
        self._picture = tkinter.Label(self._root, borderwidth=0)
        self._picture.pack()
        self._below = tkinter.Label(self._root, anchor="w")
        self._below.pack(fill="x")
        self._root.protocol("WM_DELETE_WINDOW", stop.set)
        self._root.bind("<Escape>", lambda _: stop.set())

    def show(self, shown: "Shown") -> None:
        """Show a picture beside its heat, each under its word."""
        from ..model.synthesise import beside_heat

        pixels = beside_heat(shown.drawn.heatmap, shown.drawn.picture, self._scale)
        self._image = self._tkinter.PhotoImage(data=encode_ppm(pixels), format="ppm")  # kept: tkinter does not
        self._picture.configure(image=self._image)
        self._below.configure(text=f"{shown.latency_ms:.0f} ms from heat to picture, {shown.dropped} heatmaps let go")
        self._root.update()

    def close(self) -> None:
        """Take it from the screen."""
        self._root.destroy()


def encode_ppm(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8, RGB, as the bytes of a PPM file, which tkinter reads without another library."""
    height, width = pixels.shape[:2]
    return b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()
