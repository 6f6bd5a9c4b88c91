"""A posed body: joints turned, skin moved with them, triangles to draw.

The people come from `bodies.npz` (see bake_body.py). Axes of the body: x to its left, facing -y, z up, metres.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

ZONES = (
    "hair", "face", "neck", "nape", "eye", "mouth",
    "shirt", "sleeve", "forearm", "hand", "trousers", "shoe",
)  # fmt: skip
PARENTS = {
    "pelvis": None,
    "spine": "pelvis",
    "chest": "spine",
    "neck": "chest",
    "head": "neck",
    **{f"collar.{side}": "chest" for side in "LR"},
    **{f"upperarm.{side}": f"collar.{side}" for side in "LR"},
    **{f"forearm.{side}": f"upperarm.{side}" for side in "LR"},
    **{f"hand.{side}": f"forearm.{side}" for side in "LR"},
    **{f"thigh.{side}": "pelvis" for side in "LR"},
    **{f"shin.{side}": f"thigh.{side}" for side in "LR"},
    **{f"foot.{side}": f"shin.{side}" for side in "LR"},
}  # parents before children: a pose is resolved in this order
JOINTS = tuple(PARENTS)

# What a pose says, rad. Arms hang and legs are straight at 0. L and R are the body's own left and right.
ANGLES = (
    "lean", "bend", "twist", "turn", "nod",
    *(f"{name}.{side}" for side in "LR" for name in ("out", "forward", "elbow", "hip", "spread", "knee")),
)  # fmt: skip
A_POSE = 0.62  # the baked arms stand off the body by this much, rad


@cache
def load_bodies() -> Mapping[str, np.ndarray]:
    """`bodies.npz`: vertices (P, V, 3) and joints (P, J, 3) in m, faces (F, 3), weights (V, J) 0..255, zones (F,)."""
    with np.load(Path(__file__).with_name("bodies.npz")) as file:
        return {name: file[name] for name in file.files}


def make_pose(**angles: float) -> np.ndarray:
    """(A,) float64, rad: a pose by the names in ANGLES; `out=1` sets both sides, `out_L=1` the left alone."""
    pose = np.zeros(len(ANGLES))
    for name, value in angles.items():
        stem, _, side = name.partition("_")
        names = [f"{stem}.{side}"] if side else [n for n in ANGLES if n.split(".")[0] == stem]
        for full in names:
            pose[ANGLES.index(full)] = value
    return pose


def turn_about(axis: str, angle: float) -> np.ndarray:
    """(3, 3) rotation by an angle about one axis."""
    c, s = np.cos(angle), np.sin(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    if axis == "y":
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def turn_joints(pose: np.ndarray) -> dict[str, np.ndarray]:
    """The rotation of each joint that a pose turns, relative to its parent, in the axes of the rest pose."""
    a = dict(zip(ANGLES, pose, strict=True))
    turned = {
        "pelvis": turn_about("x", a["lean"]),
        "spine": turn_about("z", a["twist"] / 2) @ turn_about("x", a["bend"] / 2),
        "chest": turn_about("z", a["twist"] / 2) @ turn_about("x", a["bend"] / 2),
        "neck": turn_about("z", a["turn"] / 2) @ turn_about("x", a["nod"] / 2),
        "head": turn_about("z", a["turn"] / 2) @ turn_about("x", a["nod"] / 2),
    }
    for side, sign in (("L", 1.0), ("R", -1.0)):
        out = a[f"out.{side}"]
        shrug = 0.3 * max(out - 1.0, 0.0)  # above the shoulder, the collar bone goes along
        turned[f"collar.{side}"] = turn_about("y", -sign * shrug)
        turned[f"upperarm.{side}"] = turn_about("x", -a[f"forward.{side}"]) @ turn_about(
            "y", sign * (A_POSE - out + shrug)
        )
        to_hanging = turn_about("y", sign * A_POSE)
        turned[f"forearm.{side}"] = to_hanging.T @ turn_about("x", -a[f"elbow.{side}"]) @ to_hanging
        turned[f"thigh.{side}"] = turn_about("x", -a[f"hip.{side}"]) @ turn_about("y", -sign * a[f"spread.{side}"])
        turned[f"shin.{side}"] = turn_about("x", a[f"knee.{side}"])
        level = a["lean"] - a[f"hip.{side}"] + a[f"knee.{side}"]
        turned[f"foot.{side}"] = turn_about("x", -np.clip(level, -0.6, 0.9))
    return turned


class Body:
    """One person, dressed: poses in, vertices out.

    Attributes:
        faces: (F, 3) int, triangles.
        zones: (F,) uint8, index into ZONES.
    """

    def __init__(self, person: int, thickness: Mapping[str, float]) -> None:
        """Args:
        person: which of the baked people, modulo their number.
        thickness: by how much hair or cloth stands off the skin, zone -> m.
        """
        baked = load_bodies()
        person %= len(baked["vertices"])
        self.faces = baked["faces"].astype(np.int64)
        self.zones = baked["zones"]
        self._weights = baked["weights"].astype(np.float64)
        self._weights /= self._weights.sum(1, keepdims=True)
        self._joints = baked["joints"][person].astype(np.float64)
        vertices = baked["vertices"][person].astype(np.float64)
        stand_off = np.array([thickness.get(zone, 0.0) for zone in ZONES])[self.zones]
        per_vertex = np.zeros(len(vertices))
        np.maximum.at(per_vertex, self.faces.ravel(), np.repeat(stand_off, 3))
        self._rest = vertices + per_vertex[:, None] * vertex_normals(vertices, self.faces)

    def pose(self, pose: np.ndarray) -> np.ndarray:
        """(V, 3) float64, m: the skin in a pose, the lowest point on z = 0, the pelvis over the origin."""
        turned = turn_joints(pose)
        turns = np.zeros((len(JOINTS), 3, 3))
        shifts = np.zeros((len(JOINTS), 3))
        for i, (name, parent) in enumerate(PARENTS.items()):
            own = turned.get(name, np.eye(3))
            at = self._joints[i]
            if parent is None:
                turns[i] = own
                shifts[i] = at - own @ at
            else:
                p = JOINTS.index(parent)
                turns[i] = turns[p] @ own
                shifts[i] = turns[p] @ (at - own @ at) + shifts[p]
        blended = self._weights @ np.concatenate([turns.reshape(-1, 9), shifts], axis=1)
        skin = np.einsum("vij,vj->vi", blended[:, :9].reshape(-1, 3, 3), self._rest) + blended[:, 9:]
        skin[:, 2] -= skin[:, 2].min()
        return skin


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, each the area-weighted mean of the triangles around it."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(faces.ravel(), np.repeat(normal[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
    )
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
