"""Adam as Keras has it, under which the published weights were trained."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """Adam with eps beside the uncorrected second moment ("epsilon hat", section 2 of Kingma and Ba, arXiv 1412.6980).

    Step t takes  lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps).  torch corrects v before it adds eps, so here
    eps is divided by the root of that correction: by 0.03 in the first step, when b2 is 0.999, and by 1 in the end.
    It matters to weights whose gradients are about as small as eps, and early: without it the first steps from equal
    weights part from the authors' by several percent of the way gone, with it they do not.

    Args:
        parameters: what to move.
        lr, betas, eps: as Keras takes them.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, fused=True)
        self.eps_hat = eps

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter by its gradient."""
        for group in self.param_groups:
            group["steps"] = group.get("steps", 0) + 1  # kept with the state; torch's own count is on the device
            group["eps"] = self.eps_hat / (1 - group["betas"][1] ** group["steps"]) ** 0.5
        return super().step(closure)
