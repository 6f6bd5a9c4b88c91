"""The commands of `lrt`: each reads its options, calls one stage and says what came of it.

A module's commands are in the group once it is imported, so all are here.
"""

from . import calibrating, clips, datasets, drawing, people, recording, training
from .group import lrt

__all__ = ["calibrating", "clips", "datasets", "drawing", "lrt", "people", "recording", "training"]
