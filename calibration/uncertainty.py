"""How far the fit can be off: from the disagreement between blocks of frames.

Errors last: a jacket or a stance is wrong in the same way for seconds, so frames are not independent and a plain
least-squares interval is several times too narrow. The sandwich estimate treats a block of some seconds as one
observation (Huber 1967; blocks as in Liang and Zeger 1986).
"""

import numpy as np

from .forward import Evidence, Explained, Pose, remove_levels
from .slopes import find_slopes


def number_blocks(clip: np.ndarray, times_ns: np.ndarray | None, seconds: float) -> np.ndarray:
    """(N,) int, 0..B-1: which block each frame is of.

    Args:
        clip: (N,) int.
        times_ns: (N,) int64; without it ten frames in a row are a block.
        seconds: length of a block; a clip's last may be shorter.
    """
    if times_ns is None:
        within = np.arange(len(clip)) // 10
    else:
        within = (times_ns - times_ns.min()) // round(seconds * 1e9)
    _, blocks = np.unique(np.stack([clip, within]), axis=1, return_inverse=True)
    return blocks.reshape(-1)


def sandwich(
    evidence: Evidence,
    explained: Explained,
    pose: Pose,
    fwhm: float,
    blocks: np.ndarray,
    rate: np.ndarray | None,
    *,
    free_lens: bool = False,
) -> np.ndarray:
    """One standard deviation of tx, ty, s (px) and of the time offset (s; 0 without a rate).

    Args:
        evidence, explained, pose, fwhm: the fit.
        blocks: (N,) int, see `number_blocks`.
        rate: (N, R, C) degC/s, how fast the heat changes at each frame; None when no offset was fitted.
        free_lens: whether the lens term was fitted too; s pays for it.

    Returns:
        (4,) float64; infinite where the frames do not settle a parameter.
    """
    told = np.broadcast_to(explained.zone_c, (len(evidence.heat), len(explained.zone_c)))
    free = find_slopes(evidence, pose, fwhm, told)[:, : 5 if free_lens else 4]
    slopes = list(remove_levels(free, evidence, explained.counts).transpose(1, 0, 2, 3))
    if rate is not None:
        slopes.append(-remove_levels(rate.astype(np.float32), evidence, explained.counts))
    weight = (evidence.weight[:, None, None] * explained.counts).reshape(len(evidence.weight), -1)
    J = np.stack(slopes, axis=-1).reshape(*weight.shape, -1).astype(np.float64)
    P = explained.seen.transpose(0, 2, 3, 1).reshape(*weight.shape, -1).astype(np.float64)
    # What the zones' temperatures can make good of a step is no evidence about it.
    inner = np.einsum("npk,npl,np->kl", P, P, weight, optimize=True) + 1e-6 * np.eye(P.shape[-1])
    J = J - P @ np.linalg.solve(inner, np.einsum("npk,npa,np->ka", P, J, weight, optimize=True))
    bread = np.einsum("npa,npb,np->ab", J, J, weight, optimize=True)
    pull = np.einsum("npa,np,np->na", J, explained.residual.reshape(weight.shape), weight, optimize=True)
    count = int(blocks.max()) + 1
    blocked = np.zeros((count, J.shape[-1]))
    np.add.at(blocked, blocks, pull)
    parameters = J.shape[-1] + (P.shape[-1] + 1) // 2  # zones run into each other: two tell little more than one
    try:
        inverse = np.linalg.inv(bread)
    except np.linalg.LinAlgError:
        return np.full(4, np.inf)
    # Few blocks say too little about how blocks differ: the usual correction, and no claim at all below its reach.
    correction = count / (count - parameters) if count > parameters else np.inf
    variance = np.diag(inverse @ blocked.T @ blocked @ inverse) * correction
    scale = np.array([pose.s, pose.s, pose.s, 1.0])
    offset = variance[-1] if rate is not None else 0.0
    return np.sqrt(np.array([*variance[:3], offset])) * scale
