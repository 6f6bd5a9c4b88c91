"""Other ways to feed a network the same pairs, each at its best: pictures travel as uint8, batches are normalised.

Every function gives batches for ever, shuffled anew each time round; `workers` is the DataLoader's number of processes
beside this one.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lrt.dataset.loading import normalise_heatmap, restore_heatmap

Batches = Iterator[tuple[Tensor, Tensor]]
TAR_PAIRS = 1000  # pairs a tar: some tens of tars, so that shuffling them means something
SHUFFLE = 2000  # WebDataset's buffer, pairs


def open_hugging_face(dataset: Path, cache: Path, workers: int, batch: int) -> Batches:
    """`datasets`, the Parquet as it is, torch format: through a DataLoader, or by its own `iter` without workers."""
    from datasets import load_dataset

    rows = load_dataset(str(dataset), split="train", cache_dir=str(cache)).select_columns(["rgb", "heatmap"])
    rows = rows.with_format("torch")
    for epoch in range(1_000_000):
        if workers:
            found = DataLoader(rows, batch, shuffle=True, num_workers=workers, drop_last=True)
        else:
            found = rows.shuffle(seed=epoch).iter(batch, drop_last_batch=True)
        for each in found:
            images = each["rgb"] if isinstance(each["rgb"], Tensor) else torch.stack(each["rgb"])
            yield normalise(images, each["heatmap"])


def write_tars(pngs: list[bytes], heatmaps: np.ndarray, folder: Path) -> None:
    """The pairs as WebDataset keeps them: a PNG and an array of heat each, in tars."""
    folder.mkdir()
    for start in range(0, len(pngs), TAR_PAIRS):
        with tarfile.open(folder / f"{start:06d}.tar", "w") as tar:
            for number in range(start, min(start + TAR_PAIRS, len(pngs))):
                heat = io.BytesIO()
                np.save(heat, heatmaps[number])
                for name, content in (("rgb.png", pngs[number]), ("heat.npy", heat.getvalue())):
                    member = tarfile.TarInfo(f"{number:06d}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def open_webdataset(folder: Path, workers: int, batch: int) -> Batches:
    """WebDataset: tars in any order, shuffled through a buffer, decoded by OpenCV."""
    import webdataset as wds

    tars = [str(path) for path in sorted(folder.glob("*.tar"))]
    rows = wds.WebDataset(tars, shardshuffle=len(tars)).shuffle(SHUFFLE).to_tuple("rgb.png", "heat.npy")
    rows = rows.map_tuple(decode, lambda content: np.load(io.BytesIO(content)))
    rows = rows.batched(batch, partial=False)
    while True:
        for images, celsius in DataLoader(rows, batch_size=None, num_workers=workers):
            yield normalise(torch.as_tensor(images).permute(0, 3, 1, 2), torch.as_tensor(celsius))


def write_folders(pngs: list[bytes], heatmaps: np.ndarray, folder: Path) -> None:
    """The pairs as LRT-Human's authors keep them: a folder of pictures, one of heat, 8-bit PNG both."""
    for name in ("rgb", "thermal"):
        (folder / name).mkdir(parents=True)
    levels = np.rint((normalise_heatmap(heatmaps) + 1) * 127.5).astype(np.uint8)
    for number, png in enumerate(pngs):
        (folder / "rgb" / f"{number}.png").write_bytes(png)
        (folder / "thermal" / f"{number}.png").write_bytes(cv2.imencode(".png", levels[number])[1].tobytes())


def open_folders(folder: Path, workers: int, batch: int) -> Batches:
    """A map-style data set over those folders, a file read and decoded for each picture and each heatmap."""
    rows = Folders(folder)
    while True:
        for images, levels in DataLoader(rows, batch, shuffle=True, num_workers=workers, drop_last=True):
            yield normalise(images.permute(0, 3, 1, 2), levels)


class Folders(Dataset):
    def __init__(self, folder: Path) -> None:
        self.folder, self.count = str(folder), len(list((folder / "rgb").iterdir()))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image = cv2.imread(f"{self.folder}/rgb/{index}.png", cv2.IMREAD_COLOR)
        levels = cv2.imread(f"{self.folder}/thermal/{index}.png", cv2.IMREAD_GRAYSCALE)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), restore_heatmap(levels / np.float32(127.5) - 1)


def decode(png: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def normalise(images: Tensor, celsius: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 3, H, W) uint8 and (n, h, w) degC as the networks take them."""
    return images.float().div_(127.5).sub_(1), torch.from_numpy(normalise_heatmap(celsius.numpy()))[:, None]
