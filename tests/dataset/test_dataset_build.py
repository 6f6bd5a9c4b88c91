"""Clips with known heat, colours and times go in; the rows must hold them."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lrt import LrtError
from lrt.calibration.geometry import Calibration, CalibrationError, find_view, write_calibration
from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.dataset.config import parse_size
from lrt.dataset.info import read_info
from lrt.dataset.loading import load_pairs
from lrt.dataset.schema import DatasetError
from lrt.dataset.tags import TagError
from lrt.rig.clip import ClipError, open_clip


def rows_of(dataset: Path, clip_id: str) -> dict[str, list]:
    """A clip's rows as they stand in its shard."""
    (clip,) = [clip for clip in read_info(dataset).clips if clip.clip_id == clip_id]
    return pq.read_table(dataset / clip.shard).to_pydict()


def hash_all(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_heatmap_cell_is_the_thermal_pixel_that_lies_under_it(report: BuildReport, heat_of) -> None:
    train = load_pairs(report.path)
    for index in range(len(train)):
        clip = int(train.clip_ids[train.clip[index]][-2:])
        # the view of 160x100 px at the image's foot covers the sensor's rows 2 to 6
        np.testing.assert_allclose(train.heatmaps[index], heat_of(clip, train.frame[index])[2:7], atol=1e-4)


def test_the_whole_heatmap_is_kept_to_the_quarter_degree(report: BuildReport, heat_of) -> None:
    full = rows_of(report.path, "kitchen-02")["heatmap_full"]
    for frame in range(12):
        np.testing.assert_array_equal(np.float32(full[frame]), heat_of(2, frame))


def test_a_picture_is_the_view_of_its_image_to_the_bit(
    report: BuildReport, clips: list[Path], calibration: Calibration
) -> None:
    view, clip, test = find_view(calibration), open_clip(clips[1]), load_pairs(report.path, "test")
    for frame in range(12):
        np.testing.assert_array_equal(test.images[frame], view.crop_image(clip.image(frame).pixels))


def test_a_picture_lies_over_its_heat_and_red_stays_red(report: BuildReport) -> None:
    picture = load_pairs(report.path).images[0].astype(int)
    assert picture.shape == (40, 64, 3)
    # squares of 20 px became 8 px; red grows to the right by 25 a square, green downwards by 30 from the second row
    centres = picture[4::8, 4::8]
    np.testing.assert_allclose(centres[..., 0], np.tile(40 + 25 * np.arange(8), (5, 1)), atol=6)
    np.testing.assert_allclose(centres[..., 1], np.tile(70 + 30 * np.arange(5), (8, 1)).T, atol=6)
    np.testing.assert_allclose(centres[..., 2], 30, atol=8)


def test_a_turned_sensor_is_set_upright(make_clip, calibration_path: Path, tmp_path: Path, heat_of) -> None:
    rig = {"sensor": {"kind": "amg8833", "rotation": 180, "mirror": True}, "camera": {"kind": "opencv"}}
    report = build_dataset([make_clip(tmp_path, "turned", rig=rig)], calibration_path, tmp_path / "out")
    # half a turn and a mirror is upside down
    np.testing.assert_allclose(load_pairs(report.path).heatmaps[3], heat_of(0, 3)[::-1][2:7], atol=1e-4)


def test_every_row_says_when_what_and_whence(report: BuildReport, calibration_path: Path) -> None:
    rows = rows_of(report.path, "kitchen-01")
    assert rows["clip_id"] == ["kitchen-01"] * 12
    assert rows["frame"] == list(range(12))
    np.testing.assert_allclose(rows["t_ns"], np.arange(12) * 100_000_000, atol=1000)
    assert set(rows["clothing"]) == {3}
    assert set(rows["lighting"]) == {0}
    assert set(rows["occupants"]) == {1}
    assert set(rows["synthetic"]) == {False}
    assert set(rows["subject"]) == {""}
    assert set(rows["room"]) == {"kitchen"}
    assert rows["tags"] == [["test"]] * 12
    assert set(rows["calibration_id"]) == {hashlib.sha256(calibration_path.read_bytes()).hexdigest()}


def test_the_pairing_error_counts_the_calibrated_offset(make_clip, calibration: Calibration, tmp_path: Path) -> None:
    write_calibration(replace(calibration, offset_ms=-12.0), tmp_path / "late.json")
    clip = make_clip(tmp_path, "late", late_ms=20)
    report = build_dataset([clip], tmp_path / "late.json", tmp_path / "out")
    np.testing.assert_allclose(rows_of(report.path, "late")["dt_ms"], 8.0, atol=0.01)
    assert report.info.pair_errors.p95_ms == pytest.approx(8.0, abs=0.01)
    assert sum(report.info.pair_errors.counts) == 12


def test_heatmaps_without_a_picture_are_counted(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "gaps", late_ms=2, skip_images=(0, 4, 5))
    report = build_dataset([clip], calibration_path, tmp_path / "out")
    assert report.info.left_out == {"no picture near enough in time": 3}
    assert report.info.pairs == 9
    assert report.info.clips[0].heatmaps == 12
    # the rows count on without a hole, and their times tell of it
    assert rows_of(report.path, "gaps")["frame"] == list(range(9))
    times_ms = np.array(rows_of(report.path, "gaps")["t_ns"]) / 1e6
    np.testing.assert_allclose(times_ms, [100, 200, 300, 600, 700, 800, 900, 1000, 1100], atol=0.01)


def test_a_wider_gap_pairs_more(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "gaps", late_ms=2, skip_images=(0, 4, 5))
    report = build_dataset([clip], calibration_path, tmp_path / "out", BuildConfig(max_gap_ms=103))
    assert report.info.left_out == {"no picture near enough in time": 0}


def test_a_clip_lies_in_one_split(report: BuildReport) -> None:
    assert report.info.splits == {"train": 24, "test": 12}
    assert load_pairs(report.path).clip_ids == ("kitchen-00", "kitchen-02")
    assert load_pairs(report.path, "test").clip_ids == ("kitchen-01",)
    assert sorted(path.name for path in (report.path / "data").iterdir()) == [
        "kitchen-00.parquet",
        "kitchen-01.parquet",
        "kitchen-02.parquet",
    ]


def test_the_same_clips_in_any_order_give_the_same_bytes(
    report: BuildReport, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    again = build_dataset(
        clips[::-1], calibration_path, tmp_path / "another-name", BuildConfig(test_clips=("kitchen-01",))
    )
    assert hash_all(again.path) == hash_all(report.path)
    assert len(hash_all(again.path)) == 7


def test_the_other_published_size_is_a_setting(make_clip, calibration: Calibration, tmp_path: Path, heat_of) -> None:
    # PAIR-LRT-Human: 12x16 to 96x128
    write_calibration(calibration, tmp_path / "calibration.json")
    clip = make_clip(tmp_path, "pair", frames=2)
    report = build_dataset([clip], tmp_path / "calibration.json", tmp_path / "out", BuildConfig(shape=(12, 16)))
    pairs = load_pairs(report.path)
    assert pairs.images.shape == (2, 96, 128, 3)
    assert pairs.heatmaps.shape == (2, 12, 16)
    # each thermal pixel covers two by two cells: the view is 160x120 px, the sensor's rows 1 to 6
    np.testing.assert_allclose(pairs.heatmaps[0], np.kron(heat_of(0, 0)[1:7], np.ones((2, 2))), atol=1e-4)


def test_the_report_is_what_the_dataset_says_of_itself(report: BuildReport, clips: list[Path]) -> None:
    info = read_info(report.path)
    assert info == report.info
    assert info.clips[0].sha256 == hashlib.sha256((clips[0] / "clip.mcap").read_bytes()).hexdigest()
    assert info.field_of_view_deg == (60.0, 37.5)
    assert info.view == {"x": 0.0, "y": 20.0, "cell": 20.0}
    assert info.clips[0].coldest_c == pytest.approx(20.0, abs=0.01)
    assert info.clips[0].warmest_c == pytest.approx(27.75, abs=0.01)
    assert not info.synthetic


def test_progress_counts_clips(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []
    build_dataset(clips, calibration_path, tmp_path / "out", on_progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_long_clip_is_written_in_groups_that_join_without_a_seam(
    make_clip, calibration_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path, "long", frames=11)
    whole = load_pairs(build_dataset([clip], calibration_path, tmp_path / "whole").path)
    monkeypatch.setattr("lrt.dataset.shard.ROWS_PER_GROUP", 4)
    split = build_dataset([clip], calibration_path, tmp_path / "split")
    assert pq.ParquetFile(split.path / split.info.clips[0].shard).num_row_groups == 3
    for name in ("images", "heatmaps", "frame"):
        np.testing.assert_array_equal(getattr(load_pairs(split.path), name), getattr(whole, name))


# ----------------------------------------------------------------------------------------------- nothing without a word


def read_stale(stale: set[int]):
    """Heat of which some frames repeat the one before."""

    def raw(_: int, frame: int) -> np.ndarray:
        while frame in stale:
            frame -= 1
        return (80 + (np.arange(64) * 5 + frame * 7) % 32).reshape(8, 8).astype(np.int16)

    return raw


def test_heatmaps_that_are_not_fit_make_no_rows_and_are_counted_by_reason(
    make_clip, calibration_path: Path, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path, "stale", frames=40, raw=read_stale({10, 11, 12, 30}), skip_images=(3, 30))
    report = build_dataset([clip], calibration_path, tmp_path / "out")
    # one that has no picture either counts as that
    assert report.info.left_out == {"no picture near enough in time": 2, "stale read": 3}
    assert report.info.pairs == 35
    times_ms = np.array(rows_of(report.path, "stale")["t_ns"]) / 1e6
    np.testing.assert_allclose(times_ms, [100 * frame for frame in range(40) if frame not in (3, 10, 11, 12, 30)])
    lines = (report.path / "README.md").read_text().splitlines()
    assert {"| 3 | stale read |", "| 2 | no picture near enough in time |", "| 1 | stale-heat |"} <= set(lines)


def test_a_clip_that_fails_is_left_out_whole_and_counted_unless_its_rule_is_allowed(
    make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    bad = make_clip(tmp_path, "bad", frames=40, raw=read_stale(set(range(10, 35))))
    report = build_dataset([*clips, bad], calibration_path, tmp_path / "out")
    assert [clip.clip_id for clip in report.info.clips] == ["kitchen-00", "kitchen-01", "kitchen-02"]
    (left_out,) = report.info.clips_left_out
    assert (left_out.clip_id, left_out.reason, left_out.heatmaps) == ("bad", "stale-heat", 40)
    assert report.info.left_out["clip left out: stale-heat"] == 40
    assert not (report.path / "data" / "bad.parquet").exists()
    assert "Whole clips left out: 1 (stale-heat)." in (report.path / "README.md").read_text()
    config = BuildConfig(allow=("stale-heat",))
    allowed = build_dataset([*clips, bad], calibration_path, tmp_path / "allowed", config)
    assert allowed.info.clips_left_out == ()
    assert allowed.info.clips[0].pairs == 15
    assert any(doubt.startswith("stale-heat: ") for doubt in allowed.info.clips[0].warnings)


def test_the_noise_is_that_of_the_pixels_that_nobody_passes(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)

    def raw(_: int, frame: int) -> np.ndarray:
        celsius = 22 + random.normal(0, 0.5, (8, 8))
        celsius[:, :3] += 4 * (frame // 10 % 2)  # somebody comes and goes
        return np.rint(4 * celsius).astype(np.int16)

    report = build_dataset([make_clip(tmp_path, "noise", frames=300, raw=raw)], calibration_path, tmp_path / "out")
    assert report.info.noise_c == pytest.approx(0.5, abs=0.03)
    assert (
        f"Noise of the sensor as these clips show it: {report.info.noise_c:.2f} degC"
        in (report.path / "README.md").read_text()
    )


# --------------------------------------------------------------------------------------------------- the vocabulary


LONGER = {"version": 2, "clothing": ["white", "red", "green", "blue", "black", "grey"], "lighting": ["bright", "dim"]}
OTHER = {"version": 2, "clothing": ["white", "red", "green", "blue", "black", "pink"], "lighting": ["bright", "dim"]}


def test_a_label_of_ones_own_is_a_label_of_the_dataset(
    make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    grey = make_clip(tmp_path, "grey", clothing="grey", vocabulary=LONGER)
    report = build_dataset([*clips, grey], calibration_path, tmp_path / "out")
    assert report.info.vocabulary == LONGER
    assert set(rows_of(report.path, "grey")["clothing"]) == {5}
    assert "| grey | 0 | 12 | 12 |" in (report.path / "README.md").read_text().splitlines()
    assert "          '5': grey" in (report.path / "README.md").read_text().splitlines()


def test_a_vocabulary_may_grow_between_builds_and_not_change(
    make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    out = build_dataset(clips, calibration_path, tmp_path / "out").path
    grey = make_clip(tmp_path, "grey", clothing="grey", vocabulary=LONGER)
    build_dataset([*clips, grey], calibration_path, out, replace=True)
    before = hash_all(out)
    pink = make_clip(tmp_path, "pink", clothing="pink", vocabulary=OTHER)
    refuse(DatasetError, "and would change their numbers", [*clips, pink], calibration_path, out, replace=True)
    refuse(TagError, "vocabularies that disagree", [grey, pink], calibration_path, tmp_path / "both")
    assert hash_all(out) == before
    smaller = build_dataset(clips, calibration_path, out, replace=True)
    assert smaller.info.vocabulary == LONGER  # a model trained before still reads its labels
    assert smaller.kept == 3


def test_a_tag_that_nobody_looked_up_is_one_line(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "clip", clothing="unknown")
    refuse(TagError, f"{clip}: clothing is unknown; `lrt clips tag`", [clip], calibration_path, tmp_path / "out")


# ---------------------------------------------------------------------------------------------------------- refusals


def refuse(error: type[LrtError], text: str, clips: list[Path], calibration: Path, out: Path, **options) -> None:
    """The build fails with one line that holds `text`, and leaves nothing behind."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(error) as raised:
        build_dataset(clips, calibration, out, **options)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(out.parent.iterdir()) == before


def edit_header(clip: Path, **fields: object) -> None:
    path = clip / "clip.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_no_clips_is_an_error(calibration_path: Path, tmp_path: Path) -> None:
    refuse(DatasetError, "no clips", [], calibration_path, tmp_path / "out")


def test_a_clip_given_twice_is_an_error(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    refuse(DatasetError, "kitchen-00 is also that of", [clips[0], *clips], calibration_path, tmp_path / "out")


def test_a_clip_that_is_not_there_is_an_error(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    refuse(ClipError, "nowhere", [clips[0], tmp_path / "nowhere"], calibration_path, tmp_path / "out")


def test_a_cut_clip_is_an_error_and_what_was_built_before_it_goes(
    make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    cut = make_clip(tmp_path, "z-cut")
    log = cut / "clip.mcap"
    os.truncate(log, log.stat().st_size // 2)
    refuse(ClipError, "z-cut", [clips[0], cut], calibration_path, tmp_path / "out")


def test_nobody_goes_in_without_a_consent(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "clip")
    edit_header(clip, consent=" ")
    refuse(ClipError, "consent", [clip], calibration_path, tmp_path / "out")


def test_an_unknown_tag_is_an_error_that_names_the_clip(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "clip", clothing="purple")
    refuse(TagError, f"{clip}: clothing 'purple'", [clip], calibration_path, tmp_path / "out")


def test_images_of_another_size_than_the_calibrations_are_an_error(
    make_clip, calibration_path: Path, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path, "wide", picture=lambda *_: np.zeros((60, 160, 3), np.uint8))
    refuse(CalibrationError, "160x60, the calibration is for 160x120", [clip], calibration_path, tmp_path / "out")


def test_a_clip_without_a_single_pair_is_an_error(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "far", late_ms=5000)
    refuse(DatasetError, "all 1 clips are left out, far for one", [clip], calibration_path, tmp_path / "out")
    blind = make_clip(tmp_path, "blind", skip_images=range(12))
    refuse(DatasetError, "12 heatmaps, 0 pictures", [blind], calibration_path, tmp_path / "out")


def test_clips_of_two_rigs_are_an_error(make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    rig = {"sensor": {"kind": "amg8833", "rotation": 90, "mirror": False}, "camera": {"kind": "opencv"}}
    clip = make_clip(tmp_path, "turned", rig=rig)
    refuse(DatasetError, "come from different rigs", [clips[0], clip], calibration_path, tmp_path / "out")


def test_the_twins_calibration_is_not_for_a_real_rig(
    make_clip, clips: list[Path], calibration: Calibration, calibration_path: Path, tmp_path: Path
) -> None:
    write_calibration(replace(calibration, synthetic=True), tmp_path / "twin.json")
    refuse(DatasetError, "recorded by a real rig, but", clips, tmp_path / "twin.json", tmp_path / "out")
    clip = make_clip(tmp_path, "clip", synthetic=True)
    refuse(DatasetError, "recorded by the twin, but", [clip], calibration_path, tmp_path / "out")


def test_a_calibration_that_is_not_there_is_an_error(clips: list[Path], tmp_path: Path) -> None:
    refuse(CalibrationError, "no such file", clips, tmp_path / "calibration.json", tmp_path / "out")


def test_what_stands_there_is_not_overwritten(
    report: BuildReport, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    refuse(DatasetError, "exists already", clips, calibration_path, report.path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    refuse(DatasetError, "not a dataset of lrt", clips, calibration_path, tmp_path / "photos", replace=True)
    assert (tmp_path / "photos" / "one.jpg").exists()


def test_a_dataset_of_ours_is_replaced_when_asked(copy: Path, clips: list[Path], calibration_path: Path) -> None:
    build_dataset(clips[:1], calibration_path, copy, replace=True)
    assert read_info(copy).splits == {"train": 12}
    assert [path.name for path in (copy / "data").iterdir()] == ["kitchen-00.parquet"]
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_failed_replacement_leaves_the_old_dataset(copy: Path, make_clip, calibration_path: Path) -> None:
    before = hash_all(copy)
    clip = make_clip(copy.parent, "far", late_ms=5000)
    refuse(DatasetError, "nothing to build", [clip], calibration_path, copy, replace=True)
    assert hash_all(copy) == before


def test_ctrl_c_leaves_nothing(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    def interrupt(*_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(clips, calibration_path, tmp_path / "out", on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_remains_of_a_killed_build_are_cleared_and_nothing_else(
    clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "out.partial"
    (partial / "data").mkdir(parents=True)
    (partial / "data" / "train-00000-of-00003.parquet").write_bytes(b"PAR1")
    build_dataset(clips, calibration_path, tmp_path / "out")
    assert not partial.exists()
    (tmp_path / "two.partial").mkdir()
    (tmp_path / "two.partial" / "thesis.tex").touch()
    refuse(DatasetError, "holds thesis.tex", clips, calibration_path, tmp_path / "two")


def test_a_file_where_a_folder_should_be_is_one_line(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written"):
        build_dataset(clips, calibration_path, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"shape": (0, 8)}, "shape"),
        ({"upscale": 0}, "upscale"),
        ({"max_gap_ms": 0}, "max gap"),
        ({"max_gap_ms": float("nan")}, "max gap"),
        ({"test_fraction": 1.0}, "test fraction"),
        ({"shape": (65, 8)}, "at most 64"),
        ({"split_by": "frame"}, "split by 'frame' is not known; choose one of clip, subject"),
        ({"scope": "all"}, "scope 'all' is not known; choose one of internal, share, publish"),
        ({"allow": ("blur",)}, "rule 'blur' is not known; the quality rules are tags, consent"),
    ],
)
def test_a_setting_without_sense_is_an_error(fields: dict, text: str) -> None:
    with pytest.raises(DatasetError, match=text):
        BuildConfig(**fields)


@pytest.mark.parametrize("size", ["8", "8x", "x5", "8x5x3", "-8x5", "8.5x5", "wide"])
def test_a_size_that_is_none_is_one_line(size: str) -> None:
    with pytest.raises(DatasetError, match="give columns x rows of the heatmap, like 8x5"):
        parse_size(size)


def test_a_size_is_said_columns_first() -> None:
    assert parse_size("16x12") == (12, 16)


def test_a_picture_finer_than_its_image_is_one_line(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    text = "a picture of 256x160 would be drawn from 160x100 pixels of the recorded images; choose a smaller --size"
    refuse(DatasetError, text, clips, calibration_path, tmp_path / "out", config=BuildConfig(shape=(20, 32)))


def test_a_test_clip_that_was_left_out_is_one_line(
    make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    bad = make_clip(tmp_path, "bad", frames=40, raw=read_stale(set(range(10, 35))))
    config = BuildConfig(test_clips=("bad",))
    refuse(
        DatasetError, "test clip 'bad' is not among", [*clips, bad], calibration_path, tmp_path / "out", config=config
    )


def test_building_and_loading_need_neither_torch_nor_datasets() -> None:
    code = (
        "import sys, lrt.dataset.build, lrt.dataset.loading, lrt.dataset.show; "
        "sys.exit(bool({'torch', 'datasets', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
