"""Does folding a convolution and its resizing into one pay on this device? The networks' six, forward and backward."""

import torch

from lrt.model.config import ModelConfig
from lrt.model.layers import DownConv, UpConv

from .speed import precision, seconds_of

WARM_UP, TIMES = 3, 20


def measure_folds(model: ModelConfig, batch: int, device: torch.device, bf16: bool) -> list[dict[str, float | str]]:
    """A row for each: `layer`, its inputs, outputs, rows and columns; `folded_ms` and `plain_ms`, the better of two.

    Args:
        model: sizes of the networks.
        batch: images.
        bf16: compute in bfloat16; else float32 products are TensorFloat-32.
    """
    rows, columns = model.heatmap_shape
    c, d = model.width, model.discriminator_width
    layers = [
        (UpConv(4 * c, 4 * c, bias=False), 1),
        (UpConv(4 * c, 2 * c, bias=False), 2),
        (UpConv(2 * c, c, bias=False), 4),
        (DownConv(d, d), 8),
        (DownConv(2 * d, 2 * d), 4),
        (DownConv(4 * d, 4 * d), 2),
    ]
    found = []
    with precision(tf32=True):
        for layer, times in layers:
            layer.to(device).to(memory_format=torch.channels_last)
            x = torch.randn(batch, layer.in_channels, times * rows, times * columns, device=device)
            x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
            row: dict[str, float | str] = {
                "layer": f"{type(layer).__name__} {layer.in_channels} to {layer.out_channels} "
                f"at {times * rows}x{times * columns}"
            }
            for name, folded in (("folded_ms", True), ("plain_ms", False), ("folded_ms", True), ("plain_ms", False)):
                vars(layer)["folded"] = folded
                row[name] = min(_ms(layer, x, device, bf16), float(row.get(name, "inf")))
            found.append(row)
    return found


def _ms(layer: torch.nn.Module, x: torch.Tensor, device: torch.device, bf16: bool) -> float:
    """Milliseconds of a forward and a backward pass."""

    def work() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            y = layer(x)
        y.backward(y.detach())

    for _ in range(WARM_UP):
        work()
    return seconds_of(lambda: [work() for _ in range(TIMES)], device) / TIMES * 1e3
