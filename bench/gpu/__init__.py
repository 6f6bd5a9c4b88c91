"""Figures of a GPU machine that has PyTorch, numpy, OpenCV and scipy, and nothing else: `python -m bench.gpu`.

It is run from a checkout, where lrt need not be installed: then the checkout itself is `lrt`.
"""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("lrt") is None:
    _root = Path(__file__).parents[2]
    _spec = importlib.util.spec_from_file_location(
        "lrt", _root / "__init__.py", submodule_search_locations=[str(_root)]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["lrt"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["lrt"])
