"""A step's parts through torch.compile, where the config asks for it.

Functions are compiled, not modules: names of weights, checkpoints and averages know nothing of it.
"""

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from .. import LrtError
from .config import TrainConfig

Takes = ParamSpec("Takes")
Given = TypeVar("Given")

BACKEND = "inductor"  # torch's own default


class CompileError(LrtError, RuntimeError):
    """torch.compile does not work on this machine."""


def compiled(function: Callable[Takes, Given], config: TrainConfig) -> Callable[Takes, Given]:
    """The function, compiled at its first call if `config.compile` says so; otherwise the function itself.

    Raises, when called:
        CompileError: it cannot be compiled here: there is no C++ compiler, or no Triton for the GPU.
    """
    if not config.compile:
        return function
    from torch._dynamo.exc import TorchDynamoException  # seconds to import

    quick = torch.compile(function, backend=BACKEND, dynamic=False)

    def call(*taken: Takes.args, **named: Takes.kwargs) -> Given:
        try:
            with warnings.catch_warnings():  # it looks at the .grad of what one part hands to the next, and wonders
                warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
                return quick(*taken, **named)
        except TorchDynamoException as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise CompileError(f"torch.compile does not work here ({first}); train with --set compile=false") from error

    return call
