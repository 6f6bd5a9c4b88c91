"""The page of a dataset shows the pairs that are there, names the worst, counts right, and needs no other file."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.dataset.agreement import correlate_pairs
from lrt.dataset.info import ClipInfo, ClipLeftOut, DatasetInfo, PairErrors, write_info
from lrt.dataset.page import find_doubted, render_page, write_page
from lrt.dataset.schema import DatasetError
from lrt.dataset.shard import Rows, write_shard
from lrt.dataset.show import ShowError, colour_heat
from lrt.dataset.survey import MOST_TILES, TILES_A_CLIP, Survey, plan_tiles, survey_dataset

FRAMES = 48
Walk = Callable[[int], int]


def walk(frame: int) -> int:
    """The column of someone who walks to and fro."""
    return 7 - abs(frame % 14 - 7)


def scene(picture_at: Walk, heat_at: Walk, seed: int, warm_c: float = 27.0) -> tuple[np.ndarray, np.ndarray]:
    """(N, 40, 64, 3) uint8 of a room with a bright figure, and (N, 5, 8) float32 degC of a warm one."""
    rng = np.random.default_rng(seed)
    room = cv2.resize(rng.integers(20, 120, (10, 16, 3), np.uint8), (64, 40))
    images = np.repeat(room[None], FRAMES, axis=0)
    heatmaps = (22 + 0.25 * rng.standard_normal((FRAMES, 5, 8))).astype(np.float32)
    for frame in range(FRAMES):
        at = 8 * picture_at(frame)
        images[frame, 8:, at : at + 8] = (230, 190, 170)
        heatmaps[frame, 1:, heat_at(frame)] = warm_c
    return images, heatmaps


def clip_rows(clip_id: str, number: int, heat_at: Walk = walk, **fields: object) -> Rows:
    warm_c = float(fields.pop("warm_c", 27.0))
    images, heatmaps = scene(walk, heat_at, number, warm_c)
    dt_ms = np.linspace(-15, 15, FRAMES, dtype=np.float32)
    tags = {"clothing": "red", "lighting": "dim", "occupants": 1, "synthetic": True, "dt_ms": dt_ms, **fields}
    return Rows(
        clip_id=clip_id,
        images=images,
        heatmap=heatmaps,
        heatmap_full=None,
        t_ns=np.arange(FRAMES) * 100_000_000,
        **tags,
    )


def make_dataset(folder: Path, clips: list[Rows], test: tuple[str, ...] = ()) -> Path:
    (folder / "data").mkdir(parents=True)
    infos: list[ClipInfo] = []
    for rows in clips:
        infos.append(replace(write_shard(folder, rows), split="test" if rows.clip_id in test else "train"))
    sides = {side: [clip.clip_id for clip in infos if clip.split == side] for side in ("train", "test")}
    info = DatasetInfo(
        clips=tuple(infos),
        heatmap_shape=(5, 8),
        image_shape=np.shape(next(iter(clips[0].images)))[:2],
        field_of_view_deg=(60.0, 37.5),
        view={"x": 0, "y": 0, "cell": 20},
        sensor="AMG8833 on I2C",
        camera="digital twin, 160x120",
        pair_errors=PairErrors(7.5, 14.0, 40.0, (-50, 0, 50), (10, 10)),
        calibration_id="ab" * 32,
        config={"max_gap_ms": 50.0, "allow": []},
        synthetic=True,
        versions={"lrt": "0.1.0"},
        named_splits={"default": sides, "leave-red-out": {"train": [], "test": [clip.clip_id for clip in infos]}},
        clips_left_out=(ClipLeftOut("cellar-09", "too dark", "all 20 pictures looked at are black", 90),),
        has_full=False,
    )
    write_info(info, folder)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest clip, one whose heat walks the other way, one too hot for a model, and one without anybody."""
    late = np.full(FRAMES, 5, np.float32)
    late[[3, 4, 5]] = (-42.5, 30, 29)
    clips = [
        clip_rows("honest", 0, dt_ms=late),
        clip_rows("hot", 1, warm_c=31.5, clothing="blue", subject="S-7f3a", room="kitchen", tags=("window-open",)),
        clip_rows("liar", 2, heat_at=lambda frame: (walk(frame) + 4) % 8, lighting="bright"),
        clip_rows("nobody", 3, occupants=0, clothing="white"),
    ]
    return make_dataset(tmp_path_factory.mktemp("datasets") / "<kitchen>", clips, test=("hot",))


@pytest.fixture(scope="module")
def survey(dataset: Path) -> Survey:
    return survey_dataset(dataset)


@pytest.fixture(scope="module")
def page(survey: Survey) -> str:
    return render_page(survey, "<kitchen>")


class Tags(HTMLParser):
    """Every tag's name and attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def decode(uri: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


# ------------------------------------------------------------------------------------------------------ what is found


def test_agreement_tells_pairs_that_belong_together_from_those_that_do_not() -> None:
    images, heatmaps = scene(walk, walk, 0)
    swapped = heatmaps.copy()
    swapped[10], swapped[13] = heatmaps[13], heatmaps[10]
    agreement = correlate_pairs(images, swapped)
    assert set(np.argsort(agreement)[:2]) == {10, 13}
    assert np.nanmedian(agreement) > 0.8
    assert max(agreement[[10, 13]]) < 0.2


def test_nothing_is_said_of_what_shows_nothing() -> None:
    images, heatmaps = scene(walk, walk, 0)
    assert np.isnan(correlate_pairs(images[:9], heatmaps[:9])).all()  # too few to know the empty room
    still = np.repeat(heatmaps[:1], FRAMES, axis=0)
    assert np.isnan(correlate_pairs(images, still)).all()
    noise = np.random.default_rng(0).standard_normal(heatmaps.shape).astype(np.float32)
    assert np.isfinite(correlate_pairs(images, noise)).mean() < 0.1  # every frame as far off as the sensor's noise


def test_the_clip_whose_heat_walks_elsewhere_is_named(survey: Survey) -> None:
    assert find_doubted(survey) == ["liar"]
    assert set(survey.agreements) == {"honest", "hot", "liar"}  # of an empty room nothing is known
    assert [pair.clip_id for pair in survey.doubtful[:2]] == ["liar", "liar"]
    assert [pair.clip_id for pair in survey.doubtful].count("liar") == 2  # and leaves room for others
    worst = [pair.agreement for pair in survey.doubtful]
    assert worst == sorted(worst)


def test_the_pairs_furthest_apart_come_first_whichever_is_later(survey: Survey) -> None:
    assert [(pair.clip_id, pair.frame, pair.dt_ms) for pair in survey.late[:2]] == [
        ("honest", 3, -42.5),
        ("honest", 4, 30),
    ]
    assert len(survey.late) == 6
    assert survey.late[0].at_s == pytest.approx(0.3)


def test_every_cell_is_counted_and_the_share_outside_is_right(survey: Survey) -> None:
    assert sum(survey.heat.counts) == 4 * FRAMES * 40
    assert survey.heat.edges[-1] == 31.75  # 31.5 degC lies in the last bin
    assert survey.warmer == pytest.approx(4 / 40 / 4)  # four cells of one clip of four
    assert survey.colder == 0
    assert sum(survey.gaps.counts) == 4 * FRAMES


def test_unknown_times_are_left_out_of_the_histogram_and_of_the_worst(tmp_path: Path) -> None:
    unknown = clip_rows("old", 0, dt_ms=np.full(FRAMES, np.nan, np.float32))
    survey = survey_dataset(make_dataset(tmp_path / "imported", [unknown]))
    assert sum(survey.gaps.counts) == 0
    assert survey.late == ()
    survey = replace(survey, info=replace(survey.info, pair_errors=None, field_of_view_deg=None))
    text = Tags(render_page(survey, "imported")).text
    assert "Time from heatmap to picture" not in text
    assert "nan" not in text


def test_larger_pictures_are_shown_at_the_papers_width(tmp_path: Path) -> None:
    rows = clip_rows("large", 0)
    images = np.stack([cv2.resize(image, (128, 80), interpolation=cv2.INTER_NEAREST) for image in rows.images])
    folder = make_dataset(tmp_path / "large", [replace(rows, images=images)])
    shown = survey_dataset(folder).strips[0].pairs[0].image
    np.testing.assert_array_equal(shown, images[3, ::2, ::2])


@pytest.mark.parametrize("clips", [1, 3, 150, 200, 201, 399, 400, 401, 10_000])
def test_there_are_never_more_tiles_than_the_page_has_room_for(clips: int) -> None:
    tiles, shown = plan_tiles(clips)
    assert tiles * shown <= MOST_TILES
    assert TILES_A_CLIP[1] <= tiles <= TILES_A_CLIP[0]
    assert shown == clips or tiles == TILES_A_CLIP[1]


# ------------------------------------------------------------------------------------------------------------ the page


def test_it_needs_no_other_file_and_runs_no_script(page: str) -> None:
    tags = Tags(page)
    assert not tags.named("script")
    assert not tags.named("link")
    assert all(image["src"].startswith("data:image/") for image in tags.named("img"))
    assert not re.search(r"https?://|url\(", page)
    assert all(image.get("alt") is not None for image in tags.named("img"))


def test_strips_hold_the_pairs_they_say_picture_above_its_own_heat(page: str, survey: Survey) -> None:
    images = Tags(page).named("img")
    pictures = [image for image in images if "pictures of honest" in image["alt"]]
    at = images.index(pictures[0])
    shown = survey.strips[0].pairs
    np.testing.assert_array_equal(
        decode(images[at + 1]["src"]), colour_heat(np.hstack([pair.heatmap for pair in shown[:4]]))
    )
    drawn = decode(pictures[0]["src"]).astype(int)
    assert drawn.shape == (40, 4 * 64, 3)
    assert np.abs(drawn - np.hstack([pair.image for pair in shown[:4]])).mean() < 6  # a JPEG of hard edges


def test_the_worst_pairs_are_shown_to_the_pixel(page: str, survey: Survey) -> None:
    images = Tags(page).named("img")
    first = next(number for number, image in enumerate(images) if image["alt"] == "picture")
    np.testing.assert_array_equal(decode(images[first]["src"]), survey.doubtful[0].image)
    np.testing.assert_array_equal(decode(images[first + 1]["src"]), colour_heat(survey.doubtful[0].heatmap))


def test_it_says_what_was_left_out_and_who_made_it(page: str) -> None:
    text = " ".join(Tags(page).text.split())
    assert "Made by the rig's digital twin: not data about people." in text
    assert "clip left out: too dark 90" in text
    assert "cellar-09 all 20 pictures looked at are black" in text
    assert "Look twice at liar: heat and picture hardly agree there." in text
    assert "leave-red-out" in text
    assert "window-open" in text


def test_people_are_announced(survey: Survey) -> None:
    real = render_page(replace(survey, info=replace(survey.info, synthetic=False)), "kitchen")
    assert "This page shows people." in Tags(real).text


def test_a_name_is_text_and_not_markup(page: str) -> None:
    assert "<kitchen>" not in page
    assert "<kitchen>" in Tags(page).text


def test_labels_that_do_not_occur_are_shown_as_missing(page: str) -> None:
    table = page[page.index('id="labels"') : page.index('id="what"')]
    counted = re.findall(r"<th>(\w+)</th>.*?>(\w+)</td>.*?>(\w+)</td>", table)
    assert ("red", "48", "48") in counted
    assert ("green", "none", "none") in counted


def test_charts_have_a_title_and_say_in_words_what_they_show(page: str) -> None:
    tags = Tags(page)
    assert len(tags.named("svg")) == len(tags.named("desc")) == 4
    assert len(tags.named("title")) == 5
    assert "From 21" in page[page.index("<desc>") :][:40]


def test_bars_are_as_high_as_their_counts_and_what_a_model_does_not_see_stands_out(page: str, survey: Survey) -> None:
    svg = page[page.index("<svg") : page.index("</svg>")]
    bars = re.findall(r'<rect class="(cool|warm)" .*? height="([\d.]+)"/>', svg)
    counts = np.array([count for count in survey.heat.counts if count])
    assert [float(height) for _, height in bars] == pytest.approx(counts / counts.max() * 172 / 1.12, abs=0.8)
    assert [style for style, _ in bars].count("warm") == 1  # the figure of 31.5 degC
    assert bars[-1][0] == "warm"


def test_the_same_dataset_gives_the_same_page(dataset: Path, page: str) -> None:
    assert render_page(survey_dataset(dataset), "<kitchen>") == page


def test_a_page_full_of_noisy_pictures_stays_below_five_megabytes(survey: Survey) -> None:
    rng = np.random.default_rng(0)
    pair = survey.strips[0].pairs[0]
    tiles, shown = plan_tiles(5000)
    smooth = [cv2.resize(rng.integers(0, 255, (10, 16, 3), np.uint8), (64, 40)) for _ in range(tiles)]
    noisy = [np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for image in smooth]
    strip = replace(survey.strips[0], pairs=tuple(replace(pair, image=image) for image in noisy))
    clips = tuple(replace(survey.info.clips[0], clip_id=f"kitchen-{number:05d}") for number in range(5000))
    full = replace(survey, strips=(strip,) * shown, info=replace(survey.info, clips=clips, named_splits={}))
    html = render_page(full, "kitchen")
    assert 2e6 < len(html) < 5e6
    text = " ".join(Tags(html).text.split())
    assert "Evenly spaced pairs of 400 of the 5,000 clips" in text
    assert "5,000 clips, the first 2,000 of them here; dataset.json has all" in text


def test_the_command_makes_the_page_and_names_the_clip_to_look_at(
    run: Callable[..., tuple[int, str, str]], dataset: Path, page: str, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    code, said, _ = run("dataset", "show", str(dataset), "--out", str(out), "--json")
    result = json.loads(said)
    assert code == 0
    assert out.read_text() == page
    assert result["doubted"] == ["liar"]
    assert result["worst_dt_ms"][0] == ["honest", 3, -42.5]
    assert (result["pairs"], result["shown"], result["bytes"]) == (192, 4, out.stat().st_size)
    code, said, err = run("dataset", "show", str(dataset), "--out", str(out))
    assert (code, said) == (1, "")
    assert err == f"lrt: {out}: exists already; name another file or move this one away\n"


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_page_is_written_whole_and_never_over_another_file(survey: Survey, page: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert write_page(survey, "<kitchen>", out) == out.stat().st_size
    assert out.read_text() == page
    with pytest.raises(ShowError, match=r"page\.html: exists already"):
        write_page(survey, "<kitchen>", out)
    with pytest.raises(ShowError, match=r"page\.pdf: give a name that ends in \.html"):
        write_page(survey, "<kitchen>", tmp_path / "page.pdf")
    with pytest.raises(ShowError, match="there is no folder"):
        write_page(survey, "<kitchen>", tmp_path / "pages" / "page.html")
    with pytest.raises(ShowError, match="cannot be written"):
        write_page(survey, "<kitchen>", Path("/proc/page.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_what_is_no_dataset_or_a_damaged_one_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a dataset"):
        survey_dataset(tmp_path)
    broken = make_dataset(tmp_path / "broken", [clip_rows("honest", 0)])
    shard = broken / "data" / "honest.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=r"honest\.parquet: damaged"):
        survey_dataset(broken)
