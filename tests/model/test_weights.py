"""Weights in the safetensors format: what we write, the format's own library reads, and the other way round."""

import json
import struct

import pytest
import safetensors
import safetensors.torch
import torch

from lrt.model.weights import WeightsError, decode_weights, encode_weights

TENSORS = {
    "kernel": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last),
    "scalar": torch.tensor(7),
    "short": torch.randn(5).bfloat16(),
    "half": torch.randn(2, 2).half(),
    "wide": torch.randn(3, dtype=torch.float64),
    "flags": torch.tensor([True, False, True]),
    "none": torch.empty(0, 4),
}


def assert_equal(found: dict[str, torch.Tensor]):
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_the_library_reads_what_we_write(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(encode_weights(TENSORS, {"model": "spade-sr-64", "name": "Käse"}))

    assert_equal(safetensors.torch.load_file(path))
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"model": "spade-sr-64", "name": "Käse"}


def test_we_read_what_the_library_writes():
    assert_equal(decode_weights(safetensors.torch.save({k: v.contiguous() for k, v in TENSORS.items()}, {"a": "b"})))


def test_equal_weights_are_equal_bytes():
    turned = dict(reversed(TENSORS.items()))

    assert encode_weights(TENSORS, {"a": "1", "b": "2"}) == encode_weights(turned, {"b": "2", "a": "1"})


def test_what_was_read_can_be_written_to():
    found = decode_weights(encode_weights(TENSORS, {}))
    found["kernel"].add_(1)

    assert torch.equal(found["kernel"], TENSORS["kernel"] + 1)
    assert torch.equal(found["wide"], TENSORS["wide"])


def file_of(header: object, data: bytes = b"\0" * 8) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4 a zip of torch's, say",
        encode_weights(TENSORS, {})[:-1],
        file_of([]),
        file_of({"a": {"dtype": "F32", "shape": [2]}}),
        file_of({"a": {"dtype": "F8", "shape": [2], "data_offsets": [0, 8]}}),
        file_of({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}),
        file_of({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
        file_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}),
        file_of({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}),
        struct.pack("<Q", 100_000) + b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused(content: bytes):
    with pytest.raises(WeightsError, match="no whole file of weights"):
        decode_weights(content)
