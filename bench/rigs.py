"""Two simulators of rigs whose pose is known: one much as the fit believes a rig to be, and one that differs.

Nothing is shared with the rig's twin or with the fit's own model of the sensor.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from lrt.calibration.forward import Pose

IMAGE = (640, 360)
FINE = 4  # px of the image a simulated pixel is wide
ABOVE = 160  # px simulated above and below the image, which the sensor sees and the camera does not


@dataclass(frozen=True, eq=False)
class SimulatedRig:
    """N frames of a rig whose pose is known.

    Attributes:
        heatmaps: (N, 8, 8) float32, degC, quarter steps.
        masks: (N, 90 or 120, 160) bool, with the faults of a segmenter.
        true_masks: (N, 90 or 120, 160) bool.
        pose: the truth; with parallax, at the mean of 1 / distance of the people in view.
        image_size: (width, height), px.
    """

    heatmaps: np.ndarray
    masks: np.ndarray
    true_masks: np.ndarray
    pose: Pose
    image_size: tuple[int, int] = IMAGE


def simulate_rig(
    seed: int,
    frames: int = 120,
    step_s: float = 0.5,
    mask_faults: bool = True,
    static_warmth: bool = True,
    times_s: np.ndarray | None = None,
) -> SimulatedRig:
    """A rig much as the fit believes it to be: Gaussian footprints, a flat world, people of warm zones.

    Args:
        seed: of everything; the scene is the same whatever the times.
        frames, step_s: how many, this far apart; or
        times_s: (N,) when each frame is taken.
    """
    times_s = np.arange(frames) * step_s if times_s is None else times_s
    frames = len(times_s)
    rng = np.random.default_rng(seed)
    pose = Pose(320 + rng.uniform(-60, 60), 180 + rng.uniform(-50, 50), rng.uniform(54, 74))
    temperatures = {
        "legs": rng.uniform(2, 4.5), "torso": rng.uniform(3, 6), "arms": rng.uniform(4.5, 8),
        "hair": rng.uniform(2.4, 4), "face": rng.uniform(6, 9),
    }  # fmt: skip
    columns, rows = IMAGE[0] // FINE, (IMAGE[1] + 2 * ABOVE) // FINE
    y, x = np.mgrid[0:rows, 0:columns] / np.array([[[rows]], [[columns]]])
    room = 22 + rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y
    for _ in range(rng.integers(0, 3) if static_warmth else 0):
        left, top = rng.integers(0, columns - 20), rng.integers(0, rows - 20)
        room[top : top + rng.integers(6, 20), left : left + rng.integers(6, 20)] += rng.uniform(2, 9)
    fixed = rng.normal(0, 0.3, (8, 8))
    drift = rng.uniform(-0.5, 0.5)
    noise = rng.uniform(0.1, 0.3)
    fwhm = rng.uniform(0.9, 1.3)
    swell = int(rng.integers(-1, 2))
    turn, height = rng.uniform(0, 6.28, 4), rng.uniform(1.55, 1.9)
    heatmaps, masks, true_masks = [], [], []
    for frame in range(frames):
        t = times_s[frame]
        distance = 2.5 + 1.3 * np.sin(0.31 * t + turn[0])
        middle = 320 + 250 * np.sin(0.23 * t + turn[1]) * np.cos(0.05 * t + turn[2])
        warm, mask = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.uint8)
        if np.sin(0.11 * t + turn[3]) > -0.85:
            crouch = 0.45 * max(0.0, np.sin(0.17 * t + turn[2]) - 0.5)
            draw_person(warm, mask, middle, distance, height * (1 - crouch), 0.8 * np.sin(1.3 * t), temperatures)
        field = room + np.where(mask > 0, warm, 0)
        heat = look_through_sensor(field, pose, fwhm) + fixed + drift * frame / frames
        heatmaps.append(np.round((heat + rng.normal(0, noise, (8, 8))) * 4) / 4)
        true = mask[ABOVE // FINE : ABOVE // FINE + IMAGE[1] // FINE] > 0
        true_masks.append(true)
        masks.append(spoil_mask(true, swell, rng) if mask_faults else true)
    return SimulatedRig(np.array(heatmaps, np.float32), np.array(masks), np.array(true_masks), pose)


def draw_person(
    warm: np.ndarray, mask: np.ndarray, middle: float, distance: float, height: float, swing: float, zone_c: dict
) -> None:
    """Limbs as thick lines, head as a disc; camera 1.3 m up, 440 px focal length."""

    def place(across_m: float, up_m: float) -> tuple[int, int]:
        px = (middle + 440 * across_m / distance) / FINE
        py = (180 + 440 * (1.3 - up_m) / distance + ABOVE) / FINE
        return round(px), round(py)

    def thick(metres: float) -> int:
        return max(1, round(440 * metres / distance / FINE))

    def limb(a: tuple[int, int], b: tuple[int, int], metres: float, zone: str) -> None:
        for picture, value in ((warm, zone_c[zone]), (mask, 1)):
            cv2.line(picture, a, b, value, thick(metres))

    h = height
    hip, shoulder, chin = 0.5 * h, 0.81 * h, 0.86 * h
    for side in (-1, 1):
        limb(place(side * 0.1, hip), place(side * (0.12 + 0.1 * abs(swing)), 0.0), 0.15, "legs")
        elbow = (side * (0.26 + 0.1 * abs(swing)), shoulder - 0.28 + 0.2 * max(swing * side, 0))
        limb(place(side * 0.2, shoulder), place(*elbow), 0.1, "arms")
        limb(place(*elbow), place(elbow[0] + side * 0.05, elbow[1] - 0.25 + 0.5 * max(swing * side, 0)), 0.08, "arms")
    for side in (-0.08, 0.0, 0.08):
        limb(place(side, hip), place(side * 1.4, shoulder - 0.04), 0.2, "torso")
    limb(place(0, shoulder), place(0, chin), 0.11, "face")
    centre = place(0, chin + 0.06 * h)
    for picture, value in ((warm, zone_c["face"]), (mask, 1)):
        cv2.ellipse(picture, centre, (thick(0.08), thick(0.115)), 0, 0, 360, value, -1)
    cv2.ellipse(warm, centre, (thick(0.08), thick(0.115)), 0, 190, 350, zone_c["hair"], -1)


def look_through_sensor(field: np.ndarray, pose: Pose, fwhm: float) -> np.ndarray:
    """(8, 8) degC: Gaussian footprints over a field of FINE px cells that begins ABOVE px over the image."""
    sigma = fwhm * pose.s / 2.355
    steps = pose.s * (np.arange(8) - 3.5)
    weights = []
    for centres, cells, origin in ((pose.ty + steps, field.shape[0], -ABOVE), (pose.tx + steps, field.shape[1], 0)):
        at = origin + FINE * (np.arange(cells) + 0.5)
        w = np.exp(-0.5 * ((at[None] - centres[:, None]) / sigma) ** 2)
        weights.append(w / w.sum(axis=1, keepdims=True))
    return weights[0] @ field @ weights[1].T


def spoil_mask(mask: np.ndarray, swell: int, rng: np.random.Generator) -> np.ndarray:
    """Missed (8 %), cut (10 %) and false people (3 %), grown or shrunken outlines."""
    mask = mask.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    grow = swell + int(rng.integers(-1, 2))
    if grow:
        mask = (cv2.dilate if grow > 0 else cv2.erode)(mask, kernel, iterations=abs(grow))
    fault = rng.uniform()
    if fault < 0.08:
        mask[:] = 0
    elif fault < 0.18 and mask.any():
        rows = np.flatnonzero(mask.any(axis=1))
        mask[rows[-1] - int(rng.uniform(0.1, 0.4) * len(rows)) :] = 0
    if rng.uniform() < 0.03:
        left = int(rng.integers(0, mask.shape[1] - 20))
        mask[30:75, left : left + 15] = 1
    return mask.astype(bool)


# ------------------------------------------------------------------------------------------------ the other simulator

OTHER_IMAGE = (640, 480)
MARGIN = 200  # px simulated beyond the image all round
PIXEL_RAD = np.radians(7.5)  # every thermal pixel takes in the same angle, so they grow outwards in a picture
BASELINE_M = 0.02  # from camera to sensor


def simulate_other_rig(
    seed: int, frames: int = 120, step_s: float = 0.5, mask_faults: bool = True, times_s: np.ndarray | None = None
) -> SimulatedRig:
    """A rig that is not as the fit believes.

    Box-shaped pixels of equal angles, a sensor 2 cm beside its camera (so that near and far people are displaced
    differently), heavier bodies seen from all sides, clothes of uneven warmth, bare or covered arms, one person or
    two, a wandering room level, a 4:3 picture, a walk from place to place with rests, and masks grown or shrunken by
    up to 8 px, cut, missed, without a limb.
    """
    times_s = np.arange(frames) * step_s if times_s is None else times_s
    scene, faults = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2, len(times_s)])
    width, height = OTHER_IMAGE
    far = Pose(width / 2 + scene.uniform(-60, 60), height / 2 + scene.uniform(-50, 50), scene.uniform(54, 74))
    focal = far.s / PIXEL_RAD
    heading = scene.uniform(0, 2 * np.pi)
    baseline = BASELINE_M * np.array([np.cos(heading), np.sin(heading)])
    people = [_Walker(np.random.default_rng([seed, 3, k]), focal) for k in range(1 + int(scene.uniform() < 0.3))]
    size = ((width + 2 * MARGIN) // FINE, (height + 2 * MARGIN) // FINE)
    room = 21 + cv2.GaussianBlur(scene.normal(0, 40, size[::-1]), (0, 0), 30)
    for _ in range(scene.integers(0, 3)):
        left, top = scene.integers(0, size[0] - 20), scene.integers(0, size[1] - 20)
        room[top : top + 12, left : left + 10] += scene.uniform(2, 6)
    fixed = scene.normal(0, 0.3, (8, 8))
    noise, swell = scene.uniform(0.1, 0.3), int(scene.integers(-1, 2))
    phases, rates = scene.uniform(0, 2 * np.pi, 3), 2 * np.pi / np.array([31.0, 83.0, 190.0])
    lenses = [_box_weights(centre, focal, cells) for centre, cells in ((far.ty, size[1]), (far.tx, size[0]))]
    heatmaps, masks, true_masks, inverse = [], [], [], []
    for t in times_s:
        warm, mask = room.astype(np.float32).copy(), np.zeros(size[::-1], np.uint8)
        for person in sorted(people, key=lambda one: -one.place(t)[1]):
            distance = person.place(t)[1]
            seen = np.zeros_like(mask)
            person.draw(t, seen, None, np.zeros(2))
            mask |= seen
            # A sensor to the right of its camera sees a near thing further left than the camera does
            person.draw(t, np.zeros_like(mask), warm, -focal * baseline / distance)
            if seen[MARGIN // FINE : -MARGIN // FINE, MARGIN // FINE : -MARGIN // FINE].any():
                inverse.append(1 / distance)
        level = 0.2 * np.sin(rates * t + phases).sum()
        heat = lenses[0] @ warm @ lenses[1].T + fixed + level
        heatmaps.append(np.round((heat + faults.normal(0, noise, (8, 8))) * 4) / 4)
        true = mask[MARGIN // FINE : -MARGIN // FINE, MARGIN // FINE : -MARGIN // FINE] > 0
        true_masks.append(true)
        masks.append(spoil_mask(true, swell, faults) if mask_faults else true)
    shift = focal * baseline * (np.mean(inverse) if inverse else 0.5)
    pose = Pose(float(far.tx + shift[0]), float(far.ty + shift[1]), far.s)
    return SimulatedRig(np.array(heatmaps, np.float32), np.array(masks), np.array(true_masks), pose, OTHER_IMAGE)


def _box_weights(centre_px: float, focal_px: float, cells: int) -> np.ndarray:
    """(8, cells): each pixel the mean over its own angle, without blur; the field begins MARGIN px before the image."""
    edges = (centre_px + focal_px * np.tan(PIXEL_RAD * np.arange(-4, 5)) + MARGIN) / FINE
    at = np.arange(cells)
    covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    covered = np.maximum(covered, 0)
    return covered / covered.sum(axis=1, keepdims=True)


class _Walker:
    """One person: a body of ellipses and tapered limbs, clothes, and a walk from place to place with rests."""

    def __init__(self, rng: np.random.Generator, focal_px: float) -> None:
        self.focal_px = focal_px
        self.height = rng.uniform(1.5, 1.95)
        self.stout = rng.uniform(0.85, 1.35)
        self.skirt = rng.uniform() < 0.3
        self.sleeves = rng.uniform(0.0, 1.0)  # share of the arm that is covered
        self.camera_m = rng.uniform(1.1, 1.5)
        self.warm = {
            "face": rng.uniform(6.5, 10), "hair": rng.uniform(1.5, 4), "neck": rng.uniform(6, 9),
            "shirt": rng.uniform(2.5, 5.5), "sleeve": rng.uniform(2, 4.5), "skin": rng.uniform(4, 8),
            "trousers": rng.uniform(1.5, 4), "belly": rng.uniform(-1, 1),
        }  # fmt: skip
        stops = 60
        self.at_m = rng.uniform(1.1, 3.9, stops)
        across = rng.uniform(-1, 1, stops) * (0.5 + 1.3 * (rng.uniform(size=stops) < 0.15))  # now and then out of view
        self.across_m = across * self.at_m * 320 / focal_px
        self.when_s = np.cumsum(rng.uniform(2.5, 6, stops))
        self.rest = rng.uniform(0, 0.5, stops)
        self.turn = rng.uniform(0, 2 * np.pi, stops)
        self.phase = rng.uniform(0, 2 * np.pi)

    def place(self, t: float) -> tuple[float, float, float]:
        """m to the right of the camera, m before it, and which way the body faces."""
        k = int(np.clip(np.searchsorted(self.when_s, t % self.when_s[-1], side="right"), 1, len(self.when_s) - 1))
        u = (t % self.when_s[-1] - self.when_s[k - 1]) / (self.when_s[k] - self.when_s[k - 1])
        u = float(np.clip(u / (1 - self.rest[k]), 0, 1))
        u = u * u * (3 - 2 * u)
        mix = [(1 - u) * line[k - 1] + u * line[k] for line in (self.across_m, self.at_m, self.turn)]
        return mix[0], mix[1], mix[2]

    def draw(self, t: float, mask: np.ndarray, warm: np.ndarray | None, shift_px: np.ndarray) -> None:
        """Onto a mask, and onto warmth as degrees over the room's at 21."""
        x_m, z_m, turn = self.place(t)
        scale = self.focal_px / z_m / FINE
        middle = (OTHER_IMAGE[0] / 2 + MARGIN + shift_px[0]) / FINE + scale * x_m
        eye = (OTHER_IMAGE[1] / 2 + MARGIN + shift_px[1]) / FINE + scale * self.camera_m
        wide = self.stout * (0.62 + 0.38 * abs(np.cos(turn)))
        h, stride = self.height, np.sin(4.2 * t + self.phase)
        up = 0.5 + 0.5 * np.sin(0.37 * t + self.phase)  # how far an arm is raised

        def at(across_m: float, up_m: float) -> list[float]:
            return [middle + scale * across_m, eye - scale * up_m]

        def fill(points: list[list[float]], part: str) -> None:
            corners = [np.rint(np.array(points) * 16).astype(np.int32)]
            cv2.fillPoly(mask, corners, 1, cv2.LINE_8, 4)
            if warm is not None:
                cv2.fillPoly(warm, corners, 21 + self.warm[part], cv2.LINE_8, 4)

        def limb(a: tuple[float, float], b: tuple[float, float], thick: tuple[float, float], part: str) -> None:
            (ax, ay), (bx, by) = a, b
            length = max(float(np.hypot(bx - ax, by - ay)), 1e-6)
            nx, ny = (by - ay) / length / 2, (ax - bx) / length / 2
            ends = ((ax, ay, thick[0], 1), (bx, by, thick[1], 1), (bx, by, thick[1], -1), (ax, ay, thick[0], -1))
            fill([at(x + sign * nx * w, y + sign * ny * w) for x, y, w, sign in ends], part)

        def round_part(
            across_m: float, up_m: float, half: tuple[float, float], part: str, low: float, top: float
        ) -> None:
            angle = np.linspace(low, top, 24)
            fill([at(across_m + half[0] * np.cos(a), up_m + half[1] * np.sin(a)) for a in angle], part)

        hip, shoulder = 0.52 * h, 0.82 * h
        spread = 0.09 * wide
        for side in (-1, 1):
            foot = side * (spread + 0.10 * stride * side * abs(np.sin(turn)))
            limb((side * spread, hip), (foot, 0.02), (0.19 * self.stout, 0.10), "trousers")
        if self.skirt:
            fill(
                [at(-0.17 * wide, hip + 0.1), at(0.17 * wide, hip + 0.1), at(0.27, 0.3 * h), at(-0.27, 0.3 * h)],
                "trousers",
            )
        limb((0, hip - 0.05), (0, 0.68 * h), (0.38 * wide, 0.36 * wide), "shirt")
        limb((0, 0.66 * h), (0, shoulder), (0.36 * wide, 0.42 * wide), "shirt")
        if warm is not None:
            self.warm["paunch"] = self.warm["shirt"] + self.warm["belly"]
            round_part(0, 0.62 * h, (0.13 * wide, 0.14), "paunch", 0, 2 * np.pi)
        for side in (-1, 1):
            raised = up if side > 0 else 0.15
            elbow = (side * (0.21 * wide + 0.10 + 0.1 * raised), shoulder - 0.27 * (1 - 1.2 * raised))
            hand = (elbow[0] + side * 0.12 * raised - side * 0.06, elbow[1] - 0.24 * (1 - 2 * raised))
            limb((side * 0.2 * wide, shoulder - 0.03), elbow, (0.12 * self.stout, 0.09), "sleeve")
            limb(elbow, hand, (0.09, 0.06), "sleeve" if self.sleeves > 0.5 else "skin")
            round_part(*hand, (0.05, 0.06), "skin", 0, 2 * np.pi)
        limb((0, shoulder - 0.03), (0, 0.88 * h), (0.13, 0.11), "neck")
        round_part(0, 0.93 * h, (0.082, 0.075 * h), "hair", 0, 2 * np.pi)
        seen = np.cos(turn)  # the face of one who looks away is hair
        if warm is not None and seen > -0.3:
            round_part(0.02 * np.sin(turn), 0.915 * h, (0.066 * min(1.0, 0.6 + seen), 0.058 * h), "face", 0, 2 * np.pi)


SIMULATORS = {"plain": simulate_rig, "other": simulate_other_rig}


def main() -> None:
    """Print what either simulator gives, and draw nothing: the fit's benchmark is `python -m bench calibration`."""
    for name, simulate in SIMULATORS.items():
        rigs = [simulate(seed, frames=100) for seed in range(100, 110)]
        someone = np.mean([mask.any() for rig in rigs for mask in rig.true_masks])
        both = [
            (a & b).sum() / max((a | b).sum(), 1)
            for rig in rigs
            for a, b in zip(rig.masks, rig.true_masks, strict=True)
        ]
        rise = np.mean([np.ptp(rig.heatmaps, axis=0).mean() for rig in rigs])
        print(f"{name:6} someone in {someone:.0%} of frames, masks' IoU {np.median(both):.2f}, heat {rise:.1f} degC")


if __name__ == "__main__":
    main()
