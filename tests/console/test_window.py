"""The window of `lrt live`, on a screen that nobody looks at (Xvfb); skipped where there is none to be had."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.console.window import Window, WindowError, encode_ppm

# A process of its own, for a Tk whose screen is gone ends the process. A red picture, heat that is warm on the left.
CHILD = """
import sys, threading
import numpy as np
from lrt.console.window import Window
from lrt.model.live import Drawn, Heat, Shown
picture = np.zeros((40, 64, 3), np.uint8)
picture[..., 0] = 200
heatmap = np.full((5, 8), 20, np.float32)
heatmap[:, :4] = 29
stop = threading.Event()
window = Window("lrt live", 6, stop)
for _ in range(20):
    window.show(Shown(Heat(0, np.zeros((8, 8), np.float32)), Drawn(picture, heatmap, 3.0), 41.7, 2))
print("shown", flush=True)
sys.stdin.readline()
print("stopped" if stop.is_set() else "goes on", flush=True)
window._root.focus_force()
window._root.event_generate("<Escape>")
window._root.update()
print("stopped" if stop.is_set() else "goes on", flush=True)
window.close()
"""


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a screen that is free."""
    pytest.importorskip("tkinter")
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb here (Debian: apt install xvfb)")
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "1000x500x24"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            if Path(f"/tmp/.X11-unix/X{number}").exists():
                break
            threading.Event().wait(0.05)
        monkeypatch.setenv("DISPLAY", f":{number}")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


def test_it_shows_heat_and_picture_side_by_side_until_somebody_closes_it(screen: str):
    grab = pytest.importorskip("PIL.ImageGrab").grab
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        seen = np.asarray(grab(xdisplay=screen).convert("RGB"))
        out, _ = process.communicate("\n", timeout=60)
    assert out == "goes on\nstopped\n"
    assert process.returncode == 0
    assert (seen == (200, 0, 0)).all(axis=2).sum() == pytest.approx(384 * 240, rel=0.02)


def test_without_a_screen_it_says_so(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(WindowError, match="no screen"):
        Window("lrt live", 2, threading.Event())


def test_a_ppm_is_what_opencv_reads_as_one():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_ppm(pixels), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], pixels)
