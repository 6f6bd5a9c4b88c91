"""Simulated rigs whose pose is known; the benchmark's own."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def load_simulators() -> ModuleType:
    """bench/rigs.py, which is no part of the package."""
    path = Path(__file__).parents[2] / "bench" / "rigs.py"
    spec = importlib.util.spec_from_file_location("rig_simulators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


SIMULATORS = load_simulators()


@pytest.fixture(scope="session")
def simulate() -> Callable:
    """The plain simulator: much as the fit believes a rig to be."""
    return SIMULATORS.simulate_rig


@pytest.fixture(scope="session")
def simulate_other() -> Callable:
    """The other: boxes of equal angles, parallax, other bodies and clothes."""
    return SIMULATORS.simulate_other_rig
