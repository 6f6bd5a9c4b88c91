"""Weights as bytes in the safetensors format, read and written by hand: it is a header and the numbers, and a machine
that has PyTorch and nothing else trains and draws too.

The format (github.com/huggingface/safetensors, README): the header's length, uint64 little-endian; the header, JSON,
name -> dtype, shape, data_offsets from the end of the header, and `__metadata__`, text -> text; the data, row-major.
"""

import json
import math
import struct
from collections.abc import Mapping

import torch
from torch import Tensor

from .. import LrtError

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class WeightsError(LrtError, ValueError):
    """Bytes that hold no weights, or not whole ones."""


def encode_weights(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Tensors, of any device and layout, as one file's content; equal ones give equal bytes."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts, end = [], 0
    # wide numbers first, so that each lies at a multiple of its size
    for name, tensor in sorted(tensors.items(), key=lambda named: (-named[1].element_size(), named[0])):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        begin, end = end, end + flat.numel() * flat.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        parts.append(flat.view(torch.uint8).numpy().tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def decode_weights(content: bytes) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU, of a file's content.

    Raises:
        WeightsError: it is cut short, or no such file.
    """
    try:
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length].decode())
        header.pop("__metadata__", None)
        data = bytearray(content[8 + length :])  # a copy that tensors may write to
        return {
            name: _tensor(data, entry["dtype"], entry["shape"], entry["data_offsets"]) for name, entry in header.items()
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"no whole file of weights ({error})") from error


def _tensor(data: bytearray, dtype: str, shape: list[int], offsets: list[int]) -> Tensor:
    begin, end = offsets
    kind, count = _DTYPES[dtype], math.prod(shape)
    if not 0 <= begin <= end <= len(data) or end - begin != count * kind.itemsize:
        raise ValueError(f"{dtype} {shape} does not lie at {begin} to {end} of {len(data)} bytes")
    if count == 0:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data, dtype=kind, count=count, offset=begin).reshape(shape)
