"""Temperatures of the body zones in closed form: least squares, and what is known of people before any heat is seen."""

import numpy as np

from .zones import ZONES

PULL = 1e-4
UNEXPLAINED_C = 0.3  # rms of what is left of a pixel: noise 0.2, quarter degrees, faulty masks
HAIR_SHARE, HAIR_PULL = 0.5, 10.0  # hair's warmth of the face's, and how much evidence that is worth: 10 pixels' full


def solve_zones(V: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Zone temperatures a of V a = m, drawn faintly towards each other.

    The pull is worth a few pixels' evidence: it settles a zone that was hardly seen and moves no other.

    Args:
        V: (..., K, K); m: (..., K).
    """
    K = V.shape[-1]
    pull = np.eye(K) - 1 / K + 1e-3 * np.eye(K)
    scale = np.trace(V, axis1=-2, axis2=-1)[..., None, None] * PULL + 1e-9
    return np.linalg.solve(V + scale * pull, m[..., None])[..., 0]


def solve_ordered(V: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Temperatures of the body zones, hair drawn to half of the face and never above it; of any others, as they come.

    Nobody's hair is warmer: where faulty masks say so, it is because that lets the whole fit slide upwards. The two are
    given one temperature then.

    Args:
        V: (K, K); m: (K,).
    """
    V = V + draw_hair(len(m))
    zone_c = solve_zones(V, m)
    if len(m) != len(ZONES) or zone_c[0] <= zone_c[1]:
        return zone_c
    tie = tie_zones(np.zeros(len(ZONES)))
    return solve_zones(tie @ V @ tie.T, tie @ m) @ tie


def draw_hair(zones: int) -> np.ndarray:
    """(K, K): what a distance of hair from its share of the face's warmth costs, for the body zones; else nothing.

    Hair insulates, and the top of a head is hair on all sides: it is about half as far above the room as a face.
    """
    cooler = np.zeros(zones)
    if zones == len(ZONES):
        cooler[:2] = 1, -HAIR_SHARE
    return HAIR_PULL * np.outer(cooler, cooler)


def tie_zones(zone_c: np.ndarray) -> np.ndarray:
    """(K', K): zones with a temperature of their own; hair and face are one where `solve_ordered` tied them."""
    single = np.eye(len(zone_c))
    if len(zone_c) != len(ZONES) or zone_c[0] != zone_c[1]:
        return single
    return np.vstack([single[:2].sum(axis=0), single[2:]])


def find_slack(V: np.ndarray, wander_c: tuple[float, ...]) -> np.ndarray:
    """(N, K, K): how readily each frame's temperatures give way to what (N, K, K) the frame sees of its zones."""
    if not wander_c:
        return np.zeros_like(V)
    return np.linalg.inv(V + np.diag((UNEXPLAINED_C / np.array(wander_c)) ** 2))
