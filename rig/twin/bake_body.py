"""The script that made `bodies.npz`: a few people of the Anny body model, light enough to draw with numpy.

Run once, by hand, where `anny` and `fast-simplification` are installed (the twin itself needs neither):

    python rig/twin/bake_body.py rig/twin/bodies.npz

Anny 0.6.2 (R. Brégier et al., Naver Labs; code Apache-2.0, its MakeHuman data CC0) gives 13,718 vertices and 163
bones. Kept of them: one mesh of about 2,600 triangles shared by all people, 19 joints, skinning weights, and a zone
for each triangle (hair, face, shirt, ...), since Anny's people are bald and unclothed. Axes: x to the person's left,
facing -y, z up, metres.
"""

import sys
from pathlib import Path

import anny
import fast_simplification
import numpy as np

from lrt.rig.twin.body import JOINTS, ZONES

TRIANGLES = 2600

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


def thin_out(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int the vertices kept, (m, 3) int triangles among them: quadric decimation, moved onto old vertices."""
    used = np.unique(faces)
    renumbered = np.searchsorted(used, faces)
    points, triangles = fast_simplification.simplify(
        vertices[used].astype(np.float32), renumbered.astype(np.int32), target_count=TRIANGLES
    )
    nearest = np.array([np.square(vertices[used] - point).sum(1).argmin() for point in points])
    triangles = nearest[triangles]
    distinct = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2])
    distinct &= triangles[:, 2] != triangles[:, 0]
    kept, triangles = np.unique(triangles[distinct], return_inverse=True)
    return used[kept], triangles.reshape(-1, 3)


def zone_faces(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, eye: np.ndarray, joints: np.ndarray):
    """(m,) uint8 index into ZONES for each triangle of the rest pose."""
    centre = vertices[faces].mean(1)
    joint = weights[faces].sum(1).argmax(1)
    x, y, z = centre.T
    at = {name: joints[i] for i, name in enumerate(JOINTS)}
    zone = np.full(len(faces), ZONES.index("shirt"))
    for i, name in enumerate(JOINTS):
        stem = name.split(".")[0]
        painted = {"upperarm": "sleeve", "forearm": "forearm", "hand": "hand", "thigh": "trousers"}
        painted |= {"shin": "trousers", "foot": "shoe", "head": "face", "neck": "neck"}
        if stem in painted:
            zone[joint == i] = ZONES.index(painted[stem])
    hips = np.isin(joint, [JOINTS.index(name) for name in ("pelvis", "spine", "thigh.L", "thigh.R")])
    zone[hips & (z < at["pelvis"][2] + 0.03)] = ZONES.index("trousers")
    zone[hips & (z >= at["pelvis"][2] + 0.03)] = ZONES.index("shirt")
    zone[(zone == ZONES.index("neck")) & (z < at["neck"][2] - 0.02)] = ZONES.index("shirt")
    crown = vertices[:, 2].max()
    head = at["head"]
    on_head = joint == JOINTS.index("head")
    up = (z - head[2]) / (crown - head[2])  # 0 at the head's joint, 1 at the crown
    behind = y - head[1]  # 0 at the joint, which stands below the ears
    fringe = 0.74 + 0.12 * np.cos(x / 0.07 * np.pi / 2) * (behind < 0)  # higher over the brow than at the temples
    zone[on_head & ((up > fringe) | ((behind > 0.0) & (up > 0.12)))] = ZONES.index("hair")
    nape = (on_head | (joint == JOINTS.index("neck"))) & (behind > 0.0) & (zone != ZONES.index("hair"))
    zone[nape & (z > at["neck"][2])] = ZONES.index("nape")
    zone[eye[faces].mean(1) > 0.5] = ZONES.index("eye")
    return zone.astype(np.uint8)


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
    kept, faces = thin_out(vertices.mean(0), faces)

    weights = np.zeros((len(kept), len(JOINTS)))
    for i, bone in enumerate(bones):
        weights[:, JOINTS.index(joint_of(bone))] += dense[kept, i]
    weights /= weights.sum(1, keepdims=True)
    joints = np.stack([heads[:, bones.index(head_bone(joint))] for joint in JOINTS], axis=1)
    eye = dense[kept][:, [bones.index("eye.L"), bones.index("eye.R")]].sum(1)
    zones = zone_faces(vertices[0][kept], faces, weights, eye, joints[0])
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
