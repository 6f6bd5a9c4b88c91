"""The script that made `bodies.npz`: a few people of the Anny body model, light enough to draw with numpy.

Run once, by hand, where `anny` and `fast-simplification` are installed (the twin itself needs neither):

    python rig/twin/bake_body.py rig/twin/bodies.npz

Anny 0.6.2 (R. Brégier et al., Naver Labs; code Apache-2.0, its MakeHuman data CC0) gives 13,718 vertices and 163
bones. Kept of them: one mesh of about 4,400 triangles shared by all people, 19 joints, skinning weights, and a zone
for each triangle (hair, face, shirt, ...), since Anny's people are bald and unclothed. Axes: x to the person's left,
facing -y, z up, metres.
"""

import sys
from pathlib import Path

import anny  # pyright: ignore[reportMissingImports]: only where this script is run
import fast_simplification  # pyright: ignore[reportMissingImports]
import numpy as np
from scipy.spatial import KDTree

from lrt.rig.twin.body import JOINTS, ZONES  # pyright: ignore[reportMissingImports]

TRIANGLES = 4400
HEM_M = 0.02  # of the shirt, over the hip joints

# gender 0 man .. 1 woman, age 2/3 = adult; extremes left out: a rig's subjects are mostly grown and ordinary
PEOPLE = (
    {"gender": 0.0, "age": 0.62, "muscle": 0.55, "weight": 0.45, "height": 0.55, "proportions": 0.6},
    {"gender": 1.0, "age": 0.62, "muscle": 0.45, "weight": 0.45, "height": 0.45, "proportions": 0.6},
    {"gender": 0.0, "age": 0.70, "muscle": 0.40, "weight": 0.75, "height": 0.60, "proportions": 0.4},
    {"gender": 1.0, "age": 0.75, "muscle": 0.40, "weight": 0.72, "height": 0.40, "proportions": 0.4},
    {"gender": 0.0, "age": 0.60, "muscle": 0.80, "weight": 0.55, "height": 0.75, "proportions": 0.7},
    {"gender": 1.0, "age": 0.60, "muscle": 0.55, "weight": 0.35, "height": 0.65, "proportions": 0.7},
    {"gender": 0.1, "age": 0.85, "muscle": 0.40, "weight": 0.50, "height": 0.45, "proportions": 0.5},
    {"gender": 0.9, "age": 0.64, "muscle": 0.50, "weight": 0.55, "height": 0.55, "proportions": 0.5},
)

# joint of ours: (the Anny bone at whose head it turns, the bones that move with it)
SPINE = {
    "pelvis": ("root", ("root", "pelvis.L", "pelvis.R")),
    "spine": ("spine04", ("spine05", "spine04", "spine03")),
    "chest": ("spine02", ("spine02", "spine01", "breast.L", "breast.R")),
    "neck": ("neck01", ("neck01", "neck02")),
}
LIMBS = {
    "collar": ("clavicle", ("clavicle", "shoulder01")),
    "upperarm": ("upperarm01", ("upperarm01", "upperarm02")),
    "forearm": ("lowerarm01", ("lowerarm01", "lowerarm02")),
    "hand": ("wrist", ("wrist", "finger", "metacarpal")),
    "thigh": ("upperleg01", ("upperleg01", "upperleg02")),
    "shin": ("lowerleg01", ("lowerleg01", "lowerleg02")),
    "foot": ("foot", ("foot", "toe")),
}


def joint_of(bone: str) -> str:
    """The joint of ours that carries one of Anny's bones; every bone of the face goes with the head."""
    for joint, (_, bones) in SPINE.items():
        if bone in bones:
            return joint
    for joint, (_, stems) in LIMBS.items():
        if bone[-2:] in (".L", ".R") and bone.startswith(stems):
            return f"{joint}{bone[-2:]}"
    return "head"


def head_bone(joint: str) -> str:
    """The Anny bone at whose head a joint of ours turns."""
    if joint == "head":
        return "head"
    if joint in SPINE:
        return SPINE[joint][0]
    stem, side = joint.split(".")
    return f"{LIMBS[stem][0]}.{side}"


def thin_out(faces: np.ndarray, detail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int the vertices kept, (m, 3) int triangles among them: quadric decimation, moved onto old vertices.

    Anny spends most of its triangles on face, hands and toes, which a camera hardly resolves: `detail` (V,) scales
    them down about their middle while edges are chosen for collapse, so that their errors count for less.
    """
    used = np.unique(faces)
    renumbered = np.searchsorted(used, faces)
    points, triangles = fast_simplification.simplify(
        detail[used].astype(np.float32), renumbered.astype(np.int32), target_count=TRIANGLES, agg=4
    )
    nearest = np.asarray(KDTree(detail[used]).query(points)[1])
    triangles = nearest[triangles]
    distinct = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2])
    distinct &= triangles[:, 2] != triangles[:, 0]
    kept, triangles = np.unique(triangles[distinct], return_inverse=True)
    return used[kept], triangles.reshape(-1, 3)


def shrink_details(vertices: np.ndarray, weights: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V, 3) vertices with head, hands and feet drawn together, and a fine ripple on trunk and limbs.

    The ripple gives flat cloth a curvature that decimation respects: without it the trunk keeps 6 cm triangles, and a
    hem is a saw.
    """
    shrunk = vertices.copy()
    for name, factor in (("head", 1.4), ("hand", 0.3), ("foot", 0.3)):
        for i, joint in enumerate(JOINTS):
            if joint.startswith(name):
                share = weights[:, [i]]
                shrunk += share * (factor - 1) * (vertices - joints[i])
    plain = weights[:, [i for i, joint in enumerate(JOINTS) if not joint.startswith(("head", "hand", "foot"))]].sum(1)
    ripple = np.sin(vertices @ np.array([[130.0, 40, 0], [0, 120, 50], [45, 0, 125]]))
    return shrunk + 0.008 * plain[:, None] * ripple


def zone_faces(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, eyes: np.ndarray, joints: np.ndarray):
    """(m,) uint8 index into ZONES for each triangle of the rest pose."""
    centre = vertices[faces].mean(1)
    joint = weights[faces].sum(1).argmax(1)
    x, y, z = centre.T
    at = {name: joints[i] for i, name in enumerate(JOINTS)}
    zone = np.full(len(faces), ZONES.index("shirt"))
    painted = {"upperarm": "sleeve", "forearm": "forearm", "hand": "hand", "thigh": "trousers"}
    painted |= {"shin": "trousers", "foot": "shoe", "head": "face", "neck": "neck"}
    for i, name in enumerate(JOINTS):
        if name.split(".")[0] in painted:
            zone[joint == i] = ZONES.index(painted[name.split(".")[0]])
    hips = np.isin(joint, [JOINTS.index(name) for name in ("pelvis", "spine", "thigh.L", "thigh.R")])
    zone[hips] = np.where(z[hips] < at["pelvis"][2] + HEM_M, ZONES.index("trousers"), ZONES.index("shirt"))
    slim = np.hypot(x, y - at["neck"][1]) < 0.085
    bare = slim & np.isin(joint, [JOINTS.index("neck"), JOINTS.index("chest")]) & (z > collar_m(y, at["neck"]))
    zone[(joint == JOINTS.index("neck")) | (joint == JOINTS.index("chest"))] = ZONES.index("shirt")
    zone[bare] = ZONES.index("neck")
    on_head = joint == JOINTS.index("head")
    behind = y - at["head"][1]  # 0 at the head's joint, which stands below the ears
    zone[on_head & (z > hairline_m(y, at["head"], vertices[:, 2].max()))] = ZONES.index("hair")
    nape = (on_head | (zone == ZONES.index("neck"))) & (behind > 0.0) & (zone != ZONES.index("hair"))
    zone[nape & (z > at["neck"][2])] = ZONES.index("nape")
    for eye in eyes:
        off = centre - eye
        front = on_head & (off[:, 1] < 0.02)
        zone[front & (np.abs(off[:, 0]) < 0.012) & (np.abs(off[:, 2]) < 0.006)] = ZONES.index("eye")
    front = on_head & (behind < -0.05)
    mouth = eyes.mean(0)[2] - 0.066
    zone[front & (np.abs(x) < 0.024) & (np.abs(z - mouth) < 0.008)] = ZONES.index("mouth")
    return zone.astype(np.uint8)


def collar_m(y: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """Height of the shirt's collar: lower in front than behind."""
    return neck[2] - 0.01 + 0.45 * (y - neck[1])


def hairline_m(y: np.ndarray, head: np.ndarray, crown_m: float) -> np.ndarray:
    """Height of the hairline: high over the brow, down in front of the ears, behind them to the nape."""
    share = np.interp(y - head[1], [-0.09, -0.05, -0.01, 0.015, 0.04], [0.70, 0.62, 0.45, 0.25, 0.1])
    return head[2] + share * (crown_m - head[2])


def level_hairline(
    vertices: np.ndarray, kept: np.ndarray, faces: np.ndarray, zones: np.ndarray, head: np.ndarray
) -> None:
    """Move the vertices where hair meets face onto the hairline, in place, by no more than 12 mm."""
    hair = np.unique(faces[zones == ZONES.index("hair")])
    skin = np.unique(faces[np.isin(zones, [ZONES.index(zone) for zone in ("face", "nape")])])
    edge = kept[np.intersect1d(hair, skin)]
    line = hairline_m(vertices[edge, 1], head, vertices[:, 2].max())
    vertices[edge, 2] += np.clip(line - vertices[edge, 2], -0.012, 0.012)


def level_collar(
    vertices: np.ndarray, kept: np.ndarray, faces: np.ndarray, zones: np.ndarray, neck: np.ndarray
) -> None:
    """Move the vertices where shirt meets neck onto the collar, in place."""
    shirt = np.unique(faces[zones == ZONES.index("shirt")])
    skin = np.unique(faces[np.isin(zones, [ZONES.index("neck"), ZONES.index("nape")])])
    edge = kept[np.intersect1d(shirt, skin)]
    vertices[edge, 2] = collar_m(vertices[edge, 1], neck)


def level_hem(vertices: np.ndarray, kept: np.ndarray, faces: np.ndarray, zones: np.ndarray, height: float) -> None:
    """Move the vertices where shirt meets trousers onto the hem, in place: a hem is level."""
    shirt = np.unique(faces[zones == ZONES.index("shirt")])
    trousers = np.unique(faces[zones == ZONES.index("trousers")])
    vertices[kept[np.intersect1d(shirt, trousers)], 2] = height


def main(path: Path) -> None:
    model = anny.create_fullbody_model(remove_unattached_vertices=True)
    bones = list(model.bone_labels)
    shaped = [
        model(phenotype_kwargs={k: float(v) for k, v in person.items()}, return_bone_ends=True) for person in PEOPLE
    ]
    vertices = np.stack([body["vertices"][0].numpy() for body in shaped])
    heads = np.stack([body["bone_heads"][0].numpy() for body in shaped])
    dense = model.dense_vertex_bone_weights.numpy()

    quads = model.faces.numpy()
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    inside = [i for i, bone in enumerate(bones) if bone.startswith("tongue")]
    faces = faces[~(dense[:, inside].sum(1) > 0.3)[faces].any(1)]
    joints = np.stack([heads[:, bones.index(head_bone(joint))] for joint in JOINTS], axis=1)
    weights = np.zeros((len(dense), len(JOINTS)))
    for i, bone in enumerate(bones):
        weights[:, JOINTS.index(joint_of(bone))] += dense[:, i]
    weights /= weights.sum(1, keepdims=True)
    detail = shrink_details(vertices[0], weights, joints[0])
    kept, faces = thin_out(faces, detail)
    weights = weights[kept]
    eyes = heads[0][[bones.index("eye.L"), bones.index("eye.R")]]
    zones = zone_faces(vertices[0][kept], faces, weights, eyes, joints[0])
    hem = joints[0][JOINTS.index("pelvis"), 2] + HEM_M
    for mesh, own in zip(vertices, joints, strict=True):
        level_hairline(mesh, kept, faces, zones, own[JOINTS.index("head")])
        level_collar(mesh, kept, faces, zones, own[JOINTS.index("neck")])
        level_hem(mesh, kept, faces, zones, hem + own[JOINTS.index("pelvis"), 2] - joints[0][JOINTS.index("pelvis"), 2])
    np.savez_compressed(
        path,
        vertices=vertices[:, kept].astype(np.float16),
        faces=faces.astype(np.int16),
        weights=np.rint(weights * 255).astype(np.uint8),
        joints=joints.astype(np.float32),
        zones=zones,
    )
    print(f"{path}: {len(kept)} vertices, {len(faces)} triangles, {path.stat().st_size / 1e3:.0f} kB")
    print({zone: int((zones == i).sum()) for i, zone in enumerate(ZONES)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
