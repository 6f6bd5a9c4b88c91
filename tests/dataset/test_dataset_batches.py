"""Batches: the pairs asked for, as the networks take them, in memory that is used again."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lrt.dataset.batches import Batches, to_network, to_pixels
from lrt.dataset.build import BuildReport
from lrt.dataset.loading import PairSet, load_pairs, normalise_heatmap
from lrt.dataset.schema import DatasetError


@pytest.fixture(scope="module")
def pairs(report: BuildReport) -> PairSet:
    return load_pairs(report.path)


@pytest.fixture(scope="module")
def batches(pairs: PairSet) -> Batches:
    return pairs.on("cpu")


def test_pixels_survive_the_way_into_the_network_and_back(pairs: PairSet, batches: Batches) -> None:
    images, heatmaps = batches.take(torch.tensor([20, 3, 3]))
    assert (images.shape, heatmaps.shape) == ((3, 3, 40, 64), (3, 1, 5, 8))
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(to_pixels(images), pairs.images[[20, 3, 3]])
    np.testing.assert_array_equal(heatmaps[:, 0], normalise_heatmap(pairs.heatmaps[[20, 3, 3]]))


def test_every_level_stays_in_its_range_and_comes_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    images = to_network(every)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (images.min(), images.max() <= 1) == (-1, True)
    torch.testing.assert_close(images, every.permute(0, 3, 1, 2) / 127.5 - 1, rtol=0, atol=2e-7)
    np.testing.assert_array_equal(to_pixels(images), every.numpy())


def test_a_batch_may_be_written_over_an_earlier_one_of_its_size(pairs: PairSet, batches: Batches) -> None:
    first, _ = batches.take(torch.tensor([0, 1]))
    second, _ = batches.take(torch.tensor([22, 23]), out=first)
    assert second.data_ptr() == first.data_ptr()
    np.testing.assert_array_equal(to_pixels(second), pairs.images[[22, 23]])


def test_a_batch_of_another_size_leaves_the_earlier_one_alone(pairs: PairSet, batches: Batches) -> None:
    first, _ = batches.take(torch.tensor([0, 1]))
    batches.take(torch.tensor([22, 23, 2]), out=first)
    np.testing.assert_array_equal(to_pixels(first), pairs.images[[0, 1]])


def test_the_uint8_form_is_the_pictures_themselves(pairs: PairSet, batches: Batches) -> None:
    pixels, heatmaps = batches.take_pixels(torch.tensor([7, 0]))
    np.testing.assert_array_equal(pixels, pairs.images[[7, 0]])
    assert torch.equal(heatmaps, batches.take(torch.tensor([7, 0]))[1])


def test_an_epoch_takes_every_pair_once_and_the_next_in_another_order(batches: Batches) -> None:
    first, second, again = (batches.order(0, False, epoch) for epoch in (0, 1, 0))
    assert sorted(first.tolist()) == list(range(24))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, batches.order(1, False, 0))
    assert not torch.equal(first, batches.order(0, True, 0))


def test_a_device_that_is_not_there_is_an_error(pairs: PairSet) -> None:
    with pytest.raises(DatasetError, match="device 'tpu' cannot be used here") as raised:
        pairs.on("tpu")
    assert "\n" not in str(raised.value)


def test_without_torch_loading_works_and_batches_say_what_to_install(report: BuildReport) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import lrt.dataset; "
        f"pairs = lrt.dataset.load({str(report.path)!r}); print(len(pairs)); pairs.on('cpu')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "24\n"
    assert done.stderr.splitlines()[-1].endswith("DatasetError: batches need PyTorch: pip install 'lrt[train]'")
