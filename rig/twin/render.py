"""Seeing: a pinhole, and triangles drawn through it, far ones first.

World axes: x to the camera's right, y away from it, z up from the floor, metres.
"""

from dataclasses import dataclass

import cv2
import numpy as np

NEAR_M = 0.15
GAMMA = 2.2  # of the picture


@dataclass(frozen=True)
class Pinhole:
    """A camera, or a thermal sensor, as a pinhole.

    Attributes:
        x, z: where it stands, m (y = 0).
        tilt: how far it looks down, rad.
        focal: px.
        centre: image point on the axis, px.
        size: (width, height), px.
    """

    x: float
    z: float
    tilt: float
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((N, 2) px with edges at integers, (N,) depth in m along the axis) of (N, 3) world points."""
        right = points[:, 0] - self.x
        up = points[:, 2] - self.z
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        depth = c * points[:, 1] - s * up
        lifted = s * points[:, 1] + c * up
        safe = np.maximum(depth, NEAR_M / 2)
        x = self.centre[0] + self.focal * right / safe
        y = self.centre[1] - self.focal * lifted / safe
        return np.stack([x, y], axis=1), depth

    def rays(self) -> np.ndarray:
        """(H, W, 3) float32: the direction of each pixel's ray, 1 long along the axis."""
        width, height = self.size
        right = (np.arange(width, dtype=np.float32) + 0.5 - self.centre[0]) / self.focal
        up = -(np.arange(height, dtype=np.float32) + 0.5 - self.centre[1]) / self.focal
        c, s = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        rays = np.empty((height, width, 3), np.float32)
        rays[..., 0] = right
        rays[..., 1] = (c + s * up)[:, None]
        rays[..., 2] = (c * up - s)[:, None]
        return rays


@dataclass(frozen=True, eq=False)
class Figure:
    """Triangles as one camera sees them.

    Attributes:
        corner: (left, top) of the part of the image they may touch, px.
        face: (h, w) int32, the triangle seen at each pixel of that part; -1 where there is none.
        depth: (F,) float64, m along the axis, of each triangle.
    """

    corner: tuple[int, int]
    face: np.ndarray
    depth: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the image, as an index."""
        left, top = self.corner
        height, width = self.face.shape
        return slice(top, top + height), slice(left, left + width)


def draw_figure(camera: Pinhole, vertices: np.ndarray, faces: np.ndarray, margin: int = 0) -> Figure | None:
    """What a camera sees of a mesh, or None when that is nothing.

    Args:
        vertices: (V, 3) float64, world, m.
        faces: (F, 3) int, anticlockwise seen from outside.
        margin: px by which the window is wider than the mesh, where the image has room.
    """
    points, depth = camera.project(vertices)
    width, height = camera.size
    corners = points[faces]
    face_depth = depth[faces].mean(1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    low, high = corners.min(1), corners.max(1)
    seen = facing & (depth[faces].min(1) > NEAR_M)
    seen &= (high[:, 0] > 0) & (high[:, 1] > 0) & (low[:, 0] < width) & (low[:, 1] < height)
    index = np.flatnonzero(seen)
    if index.size == 0:
        return None
    left, top = np.maximum(np.floor(low[index].min(0)).astype(int) - margin, 0)
    right, bottom = np.minimum(np.ceil(high[index].max(0)).astype(int) + margin, [width, height])
    index = index[np.argsort(-face_depth[index], kind="stable")]
    # cv2 takes pixel centres at integers; 4 bits of a pixel beyond that
    fixed = np.rint((corners[index] - [left + 0.5, top + 0.5]) * 16).astype(np.int32)
    canvas = np.full((bottom - top, right - left), -1, np.int32)
    fill = cv2.fillConvexPoly
    for triangle, number in zip(fixed, index.tolist(), strict=True):
        fill(canvas, triangle, number, cv2.LINE_8, 4)
    return Figure((int(left), int(top)), canvas, face_depth)


_TONES = np.rint(255 * np.linspace(0, 1, 4096) ** (1 / GAMMA)).astype(np.uint8)


def develop(linear: np.ndarray) -> np.ndarray:
    """uint8 picture of linear light, (..., 3) float32, 1 = white; highlights roll off instead of clipping hard."""
    soft = np.where(linear > 0.7, 1.0 - 0.3 * np.exp(-(linear - 0.7) / 0.3), linear)
    return _TONES[np.clip(soft * 4095, 0, 4095).astype(np.int32)]
