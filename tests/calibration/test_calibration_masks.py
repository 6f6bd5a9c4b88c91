"""Person masks: from torchvision's Mask R-CNN, from the small one, from a folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.calibration.masks import MaskError, open_masks

ASTRONAUT_LIKE = (48, 64)  # height, width of the pictures that only have to pass through


def test_a_folder_gives_one_mask_per_image_in_order(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((3, *ASTRONAUT_LIKE)) > 0.5
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number:06d}.png"), mask.astype(np.uint8) * 255)
    images = [np.zeros((*ASTRONAUT_LIKE, 3), np.uint8)] * 3
    found = list(open_masks(str(tmp_path)).masks(images))
    np.testing.assert_array_equal(found, masks.astype(np.float32))


def test_person_begins_above_127(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "000000.png"), np.array([[127, 128]], np.uint8))
    found = next(open_masks(str(tmp_path)).masks([np.zeros((1, 2, 3), np.uint8)]))
    np.testing.assert_array_equal(found, [[0, 1]])


def test_a_mask_missing_from_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"000000\.png: no such mask"):
        next(open_masks(str(tmp_path)).masks([np.zeros((4, 4, 3), np.uint8)]))


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "000000.png"), np.zeros((4, 5), np.uint8))
    with pytest.raises(MaskError, match="5x4, its image is 4x4"):
        next(open_masks(str(tmp_path)).masks([np.zeros((4, 4, 3), np.uint8)]))


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "000000.png").write_bytes(b"not a picture")
    with pytest.raises(MaskError, match="not a picture"):
        next(open_masks(str(tmp_path)).masks([np.zeros((4, 4, 3), np.uint8)]))


def test_an_unknown_source_names_the_known() -> None:
    with pytest.raises(MaskError, match="maskrcnn, small, or a folder"):
        open_masks("deeplab")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="no such file of weights"):
        open_masks("small", weights=tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(MaskError, match="not weights of this network") as caught:
        open_masks("small", weights=tmp_path / name)
    assert "\n" not in str(caught.value)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pt"
    torch.save({"weight": open_masks}, path)  # a pickled function: loading it would import and could call
    with pytest.raises(MaskError, match="not weights"):
        open_masks("small", weights=path)


def test_torchvisions_network_runs_on_weights_from_a_file(tmp_path: Path) -> None:
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(0)
    path = tmp_path / "weights.pt"
    torch.save(maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict(), path)
    source = open_masks("maskrcnn", weights=path)
    assert source.name == "maskrcnn"
    (mask,) = source.masks([np.full((*ASTRONAUT_LIKE, 3), 128, np.uint8)])
    assert mask.shape == ASTRONAUT_LIKE
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1


def test_a_download_that_fails_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from urllib.error import URLError

    import torch

    def refuse(*_args: object, **_options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(MaskError, match=r"--weights FILE.*--masks small"):
        open_masks("maskrcnn")


@pytest.mark.download
def test_torchvisions_own_weights_find_nobody_in_grey() -> None:
    (mask,) = open_masks("maskrcnn").masks([np.full((240, 320, 3), 128, np.uint8)])
    assert mask.shape == (240, 320)
    assert mask.max() < 0.5


def test_the_small_network_finds_the_twins_people() -> None:
    """Rooms and occupants it was not trained on, both lights, all colours: mean IoU 0.85 and empty rooms left empty."""
    from lrt.rig.twin.scene import SHIRTS, Scene, SceneSettings

    source = open_masks("small")
    overlaps, claimed = [], []
    for number in range(40):
        seed = 90_000_000 + 10 * number
        occupants = 0 if number % 8 == 7 else 1
        clothing, lighting = tuple(SHIRTS)[number % 5], ("bright", "dim")[number // 5 % 2]
        scene = Scene(
            SceneSettings(
                room_seed=seed, occupant_seed=seed + 1, clothing=clothing, lighting=lighting, occupants=occupants
            )
        )
        look = scene.look(40.0 + 7.0 * number)
        (mask,) = source.masks([look.image])
        person = mask > 0.5
        if look.mask.mean() > 0.005:
            overlaps.append((person & look.mask).sum() / (person | look.mask).sum())
        elif not look.mask.any():
            claimed.append(person.mean())
    assert len(overlaps) >= 24
    assert np.mean(overlaps) >= 0.85
    assert len(claimed) >= 5
    assert np.mean(claimed) < 0.005


def test_the_small_network_is_small() -> None:
    from lrt.calibration.small import WEIGHTS, build_small_maskrcnn

    assert sum(weight.numel() for weight in build_small_maskrcnn().parameters()) < 2_500_000
    assert WEIGHTS.stat().st_size < 5_000_000
