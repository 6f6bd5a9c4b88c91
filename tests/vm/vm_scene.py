"""What the machine's sensor and camera see: the twin's registers and pictures, drawn on the host and kept.

Drawing them in the machine would be too slow under software emulation; there they are only handed over on time.
"""

from pathlib import Path

import numpy as np
from vm_image import ROOT, cache_folder, key_of

from lrt.rig.jpeg import compress, decode_jpeg
from lrt.rig.timing.clock import SECOND_NS, VirtualClock
from lrt.rig.twin.rig import open_twin

SIZE, RATE = (640, 360), 15.0
LAYOUT = "2"  # count up when the file made here becomes another
_ADDRESS = 0x69


def make_scene(script: str, seconds: int) -> Path:
    """A scene's file, drawn unless it was before with the same twin.

    Args:
        script: "live" or "wave", as `open_twin` has it.

    Returns:
        An .npz with reg_ns (N,) int64 and registers (N, 130) uint8: thermistor, then pixels, of each frame that the
        sensor makes; image_ns (M,) int64, jpeg (bytes joined) uint8 and jpeg_ends (M,) int64; small (M, H / 8, W / 8)
        uint8, the JPEGs in grey; masks (M, H, W / 8) uint8, the people, as `packbits` has them; tx, ty, s, offset_ms,
        the truth. Times are from the scene's start.
    """
    twin_code = [path.read_bytes() for path in sorted((ROOT / "rig/twin").glob("*")) if path.is_file()]
    key = key_of(LAYOUT, script, str(seconds), *twin_code)
    path = cache_folder() / f"scene-{script}-{key}.npz"
    if path.exists():
        return path
    for old in cache_folder().glob(f"scene-{script}-*.npz"):
        old.unlink()
    clock = VirtualClock()
    twin = open_twin("red", "bright", 1, "vm", size=SIZE, rate=RATE, script=script, clock=clock)
    start_ns, end_ns = clock.now_ns(), clock.now_ns() + seconds * SECOND_NS
    registers, times_ns = [], []
    number = 0
    while twin.i2c.frame_ns(number) < end_ns:
        clock.sleep_until(twin.i2c.frame_ns(number) + 1_000_000)  # the next is 100 ms off: nothing is torn
        memory = bytearray(130)
        twin.i2c.writeto_then_readfrom(_ADDRESS, b"\x0e", memory, in_end=2)
        twin.i2c.writeto_then_readfrom(_ADDRESS, b"\x80", memory, in_start=2)
        registers.append(np.frombuffer(bytes(memory), np.uint8))
        times_ns.append(twin.i2c.frame_ns(number) - start_ns)
        number += 1
    clock.sleep_until(end_ns)
    jpegs, small, image_ns, masks = [], [], [], []
    for image in twin.camera.poll():
        jpegs.append(compress(image).data)
        small.append(decode_jpeg(jpegs[-1], 8, gray=True))
        image_ns.append(image.timestamp_ns - start_ns)
        shown_s = (image.timestamp_ns - start_ns - twin.camera.settings.stamp_lag_ns) / SECOND_NS
        masks.append(np.packbits(twin.scene.look(max(0.0, shown_s)).mask, axis=-1))
    truth = twin.truth(float(seconds))
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            reg_ns=np.array(times_ns, np.int64),
            registers=np.stack(registers),
            image_ns=np.array(image_ns, np.int64),
            jpeg=np.frombuffer(b"".join(jpegs), np.uint8),
            jpeg_ends=np.cumsum([len(jpeg) for jpeg in jpegs]),
            small=np.stack(small),
            masks=np.stack(masks),
            **{name: np.float64(truth[name]) for name in ("tx", "ty", "s", "offset_ms")},
            length_ns=np.int64(seconds * SECOND_NS),
        )
    partial.rename(path)
    return path
