"""What an occupant does: walks, pauses, sits, stretches out its arms, leaves and comes back; or waves.

A script is a chain of moves made one after another from a seed, so that the state at any time is the same whatever
was asked before.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .body import ANGLES, make_pose

REST = make_pose(out=0.12, elbow=0.15, spread=0.03)
IDLE = {
    "stand": REST,
    "arms_out": make_pose(out=1.5, elbow=0.05, spread=0.05),
    "one_arm": make_pose(out_L=1.45, out_R=0.12, elbow=0.1),
    "arms_up": make_pose(out=2.45, elbow=0.2, nod=-0.1),
    "wave": make_pose(out_L=0.12, out_R=1.2, forward_R=1.35, elbow_R=1.2, elbow_L=0.2),
    "reach": make_pose(out=0.15, forward=1.4, elbow=0.2),
    "hips": make_pose(out=0.75, elbow=1.5, forward=-0.25, spread=0.08),
    "crouch": make_pose(hip=1.75, knee=2.0, lean=0.35, bend=0.3, spread=0.3, out=0.3, forward=0.8, elbow=0.6),
    "bow": make_pose(lean=0.9, hip=0.9, bend=0.4, out=0.15, forward=0.8),
}  # arms relative to the trunk, so that a bow lets them hang
SIT = make_pose(hip=1.5, knee=1.5, spread=0.12, out=0.1, forward=0.3, elbow=0.55, bend=0.1)
STRIDE_M = 1.35  # two steps
WAVE_M, WAVES = 1.4, 10  # where one stands to be timed, and how often an arm goes up


@dataclass(frozen=True, eq=False)
class State:
    """Where an occupant is and how it holds itself.

    Attributes:
        x, y: m, on the floor; x to the right of the camera, y away from it.
        heading: rad; 0 faces the camera, positive turns to its left.
        pose: (A,) float64, rad, see body.ANGLES.
        seated: 0 standing .. 1 seated.
    """

    x: float
    y: float
    heading: float
    pose: np.ndarray
    seated: float = 0.0


@dataclass(frozen=True)
class Stage:
    """Where an occupant may go.

    Attributes:
        near_m, far_m: distance from the camera.
        half_view: half the camera's view as a tangent; places are drawn inside it, leaving goes beyond it.
        half_width_m: the side walls.
        seat: (x, y, heading) of a seat, or None.
        side: -1 keeps to the left half, 1 to the right, 0 goes everywhere.
    """

    near_m: float
    far_m: float
    half_view: float
    half_width_m: float
    seat: tuple[float, float, float] | None
    side: int = 0


Move = Callable[[float], State]


class Script:
    """The moves of one occupant, made as far as they are asked for."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._rng = np.random.default_rng([seed, 17])
        self._starts: list[float] = [0.0]
        self._moves: list[tuple[float, Move]] = []
        x, y = self._place()
        self._now = State(x, y, self._rng.uniform(-0.8, 0.8), REST)
        self._away = False

    def at(self, time_s: float) -> State:
        """The occupant at a time >= 0, s."""
        while self._starts[-1] <= time_s:
            self._extend()
        k = bisect_right(self._starts, time_s) - 1
        duration, move = self._moves[k]
        return move((time_s - self._starts[k]) / duration)

    def _place(self) -> tuple[float, float]:
        """A place in view, near ones more often: a rig stands where people are."""
        stage = self._stage
        y = stage.near_m * (stage.far_m / stage.near_m) ** float(self._rng.random() ** 2.0)
        reach = min(stage.half_view * y * 0.8, stage.half_width_m - 0.8)
        low, high = {-1: (-1.0, -0.15), 0: (-1.0, 1.0), 1: (0.15, 1.0)}[stage.side]
        return float(self._rng.uniform(low, high) * reach), y

    def _add(self, duration_s: float, move: Move) -> None:
        self._moves.append((duration_s, move))
        self._starts.append(self._starts[-1] + duration_s)
        self._now = move(1.0)

    def _extend(self) -> None:
        """One more thing to do."""
        rng = self._rng
        if self._away:
            self._walk_to(*self._place())
            self._away = False
            return
        choice = rng.choice(["walk", "act", "turn", "sit", "leave"], p=[0.37, 0.44, 0.09, 0.05, 0.05])
        if choice == "leave":
            side = self._stage.side or (1 if self._now.x > 0 else -1)
            y = float(np.clip(self._now.y, 1.0, 1.8))
            self._walk_to(side * (self._stage.half_view * y + 0.9), y)
            self._stay(rng.uniform(4.0, 9.0))
            self._away = True
        elif choice == "sit" and self._stage.seat is not None:
            self._sit(*self._stage.seat, rng.uniform(3.0, 8.0))
        elif choice == "turn":
            self._turn_to(self._now.heading + rng.choice([-1, 1]) * rng.uniform(1.5, 6.3), 1.2)
        elif choice == "act":
            self._turn_to(rng.normal(0.0, 0.6), 2.5)
            name = rng.choice(list(IDLE))
            changed = IDLE[name] + rng.normal(0.0, 0.06, len(ANGLES)) * (IDLE[name] != 0)
            self._change_pose(changed, rng.uniform(0.6, 1.2))
            self._stay(rng.uniform(0.8, 3.5), wave=name == "wave")
            self._change_pose(REST, rng.uniform(0.6, 1.0))
        else:
            self._walk_to(*self._place())
            self._stay(rng.uniform(0.4, 2.0))

    def _turn_to(self, heading: float, rate: float) -> None:
        start = self._now
        if abs(heading - start.heading) < 0.05:
            return

        def move(u: float) -> State:
            turned = start.heading + ease(u) * (heading - start.heading)
            return State(start.x, start.y, turned, start.pose, start.seated)

        self._add(abs(heading - start.heading) / rate, move)

    def _change_pose(self, pose: np.ndarray, duration_s: float) -> None:
        start = self._now

        def move(u: float) -> State:
            return State(start.x, start.y, start.heading, start.pose + ease(u) * (pose - start.pose), start.seated)

        self._add(duration_s, move)

    def _stay(self, duration_s: float, wave: bool = False) -> None:
        """Stand about: nobody stands quite still."""
        start = self._now
        glance, phase = self._rng.normal(0.0, 0.35), self._rng.uniform(0, 6.28)

        def move(u: float) -> State:
            t = u * duration_s
            pose = start.pose.copy()
            pose[ANGLES.index("turn")] += glance * np.sin(np.pi * u) ** 2
            pose[ANGLES.index("lean")] += 0.015 * np.sin(0.9 * t + phase) * np.sin(np.pi * u)
            if wave:
                pose[ANGLES.index("elbow.R")] += 0.45 * np.sin(7.0 * t) * min(1.0, 4 * u, 4 * (1 - u))
            return State(start.x, start.y, start.heading, pose, start.seated)

        self._add(duration_s, move)

    def _walk_to(self, x: float, y: float) -> None:
        start = self._now
        dx, dy = x - start.x, y - start.y
        length = float(np.hypot(dx, dy))
        if length < 0.15:
            return
        heading = float(np.arctan2(dx, -dy))  # 0 walks towards the camera
        heading += 2 * np.pi * np.rint((start.heading - heading) / (2 * np.pi))  # the short way round
        self._turn_to(heading, 3.0)
        heading = self._now.heading if abs(heading - self._now.heading) < 0.05 else heading
        speed = self._rng.uniform(0.55, 1.05)
        duration = length / speed + 0.6

        def move(u: float) -> State:
            way = ease(u, 0.3)
            phase = 2 * np.pi * way * length / STRIDE_M
            swing = min(1.0, 6 * u, 6 * (1 - u))
            pose = REST.copy()
            for side, sign in (("L", 1.0), ("R", -1.0)):
                s = np.sin(phase) * sign
                pose[ANGLES.index(f"hip.{side}")] += swing * (0.42 * s + 0.06)
                lifted = max(0.0, np.cos(phase) * sign)
                pose[ANGLES.index(f"knee.{side}")] += swing * (0.12 + 0.75 * lifted)
                pose[ANGLES.index(f"forward.{side}")] -= swing * 0.38 * s
                pose[ANGLES.index(f"elbow.{side}")] += swing * 0.25
            pose[ANGLES.index("twist")] += swing * 0.12 * np.sin(phase)
            return State(start.x + way * dx, start.y + way * dy, heading, pose)

        self._add(duration, move)
        wrapped = (self._now.heading + np.pi) % (2 * np.pi) - np.pi
        self._now = State(self._now.x, self._now.y, wrapped, REST)

    def _sit(self, x: float, y: float, heading: float, duration_s: float) -> None:
        front = 0.35  # where one stands before sitting down, m
        self._walk_to(x + front * np.sin(heading), y - front * np.cos(heading))
        self._turn_to(heading, 2.0)
        start = self._now

        def lower(u: float) -> State:
            e = ease(u)
            pose = REST + e * (SIT - REST)
            pose[ANGLES.index("lean")] += 0.5 * np.sin(np.pi * e)
            return State(start.x + e * (x - start.x), start.y + e * (y - start.y), heading, pose, e)

        self._add(1.4, lower)
        self._stay(duration_s)
        self._add(1.4, lambda u: lower(1.0 - u))


class Waving(Script):
    """Somebody who stands 1.4 m away, faces the rig, and raises and lowers an arm ten times, not in rhythm; then again.

    What the time between heat and picture is measured by (timing/sync.py). Ten times take 20 to 28 s.
    """

    def __init__(self, stage: Stage, seed: int) -> None:
        super().__init__(stage, seed)
        rng = self._rng = np.random.default_rng([seed, 29])
        y = float(np.clip(WAVE_M + rng.uniform(-0.15, 0.15), stage.near_m, stage.far_m))
        self._now = State(0.6 * stage.side + rng.uniform(-0.15, 0.15), y, rng.normal(0.0, 0.1), REST)
        self._sway = rng.uniform(0, 6.28)

    def at(self, time_s: float) -> State:
        """The occupant at a time >= 0, s."""
        state = super().at(time_s)
        pose = state.pose.copy()
        pose[ANGLES.index("lean")] += 0.012 * np.sin(0.9 * time_s + self._sway)
        return State(state.x, state.y, state.heading, pose, state.seated)

    def _extend(self) -> None:
        rng = self._rng
        side = rng.choice(["L", "R"])
        self._stay(rng.uniform(1.0, 2.0))
        for _ in range(WAVES):
            raised = REST.copy()
            raised[ANGLES.index(f"out.{side}")] = rng.uniform(1.5, 2.3)
            raised[ANGLES.index(f"forward.{side}")] = rng.uniform(0.0, 0.4)
            self._change_pose(raised, rng.uniform(0.65, 0.95))
            self._pause(0.1, 0.6)
            self._change_pose(REST, rng.uniform(0.65, 0.95))
            self._pause(0.1, 0.8)

    def _pause(self, shortest_s: float, longest_s: float) -> None:
        """Hold the pose for anything between the two."""
        held = self._now
        self._add(self._rng.uniform(shortest_s, longest_s), lambda _: held)


SCRIPTS = {"live": Script, "wave": Waving}


def ease(u: float, ramp: float = 0.5) -> float:
    """0..1 -> 0..1 that starts and ends at rest; `ramp` is the share of the time spent speeding up, and slowing."""
    u = min(max(u, 0.0), 1.0)
    top = 1.0 / (1.0 - ramp)
    if u < ramp:
        return top * (u / 2 - ramp / (2 * np.pi) * np.sin(np.pi * u / ramp))
    if u > 1 - ramp:
        return 1.0 - ease(1.0 - u, ramp)
    return top * (u - ramp / 2)
