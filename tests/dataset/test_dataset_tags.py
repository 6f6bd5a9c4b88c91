"""The vocabulary: what a rig may add to it, what a clip remembers of it, and clips from before there was a choice."""

import json
import shutil
from pathlib import Path

import pytest

from lrt.console import people
from lrt.dataset.tags import (
    CLOTHING,
    DEFAULT,
    LIGHTING,
    TagError,
    Vocabulary,
    check_tags,
    find_vocabulary,
    join_vocabularies,
    read_vocabulary,
)
from lrt.rig.clip import ClipError, ClipHeader, verify_clip
from lrt.rig.clip.header import is_as_written

GREY = Vocabulary(2, (*CLOTHING, "grey"))
PINK = Vocabulary(2, (*CLOTHING, "pink"))
GREY_FILE = 'version = 2\nclothing = ["white", "red", "green", "blue", "black", "grey"]\n'
GOLDEN = Path(__file__).with_name("golden")


def test_a_file_adds_labels_after_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.toml").write_text("# of our studio\n" + GREY_FILE)
    found = find_vocabulary(tmp_path)
    assert found == GREY
    assert found.clothing.index("red") == CLOTHING.index("red")
    assert found.lighting == LIGHTING
    found.check("grey", "dim", 1)
    assert Vocabulary.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert find_vocabulary(tmp_path / "elsewhere") == DEFAULT


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('version = 2\nclothing = ["red", "white", "green", "blue", "black"]', "must come first"),
        ('version = 2\nclothing = ["white", "red", "green", "blue", "grey"]', "must come first"),
        ('version = 2\nclothing = ["white", "red"]', "must come first"),
        ('version = 2\nlighting = ["dim", "bright"]', "lighting begins with dim, bright"),
        ('version = 2\nlighting = ["bright", "dim", "dim"]', "twice"),
        ('version = 2\nlighting = ["bright", "dim", "unknown"]', "'unknown' cannot be a label"),
        ('version = 2\nlighting = ["bright", "dim", "Sun Light"]', "'Sun Light' cannot be a label"),
        ('version = 2\nlighting = "sunny"', "give a list"),
        ('version = 2\ncolours = ["grey"]', "'colours' is not known"),
        ('version = "2"', "version is '2'"),
        ("version = true", "version is True"),
        (GREY_FILE.replace("2", "1"), "higher version"),
        ("version = ", "not TOML"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused_in_one_line(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "vocabulary.toml"
    path.write_text(content)
    with pytest.raises(TagError) as refused:
        read_vocabulary(path)
    assert part in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unknown_may_be_recorded_and_not_built() -> None:
    DEFAULT.check("unknown", "unknown", 1, recording=True)
    with pytest.raises(TagError, match=r"clothing is unknown; `lrt clips tag`"):
        DEFAULT.check("unknown", "dim", 1)
    with pytest.raises(TagError, match="choose one of white, red, green, blue, black"):
        DEFAULT.check("pink", "dim", 1, recording=True)
    with pytest.raises(TagError, match="occupants is -1"):
        check_tags("red", "dim", -1)


def test_the_vocabulary_of_many_clips_is_the_longest_whatever_their_order() -> None:
    kept = {"a": None, "b": GREY.as_dict(), "c": DEFAULT.as_dict()}
    assert join_vocabularies(kept) == GREY
    assert join_vocabularies(dict(reversed(kept.items()))) == GREY
    assert join_vocabularies({"a": None}) == DEFAULT


def test_clips_that_give_one_number_to_two_labels_are_both_named() -> None:
    with pytest.raises(TagError, match=r"clips a and b .* disagree.*grey.*pink"):
        join_vocabularies({"a": GREY.as_dict(), "b": PINK.as_dict()})
    more_light = Vocabulary(2, lighting=(*LIGHTING, "sunny"))
    with pytest.raises(TagError, match="disagree"):
        join_vocabularies({"a": GREY.as_dict(), "b": more_light.as_dict()})
    with pytest.raises(TagError, match="clip a: its vocabulary"):
        join_vocabularies({"a": {"version": 2, "clothing": ["grey"]}})


# ---------------------------------------------------------------------------------------------------- the clip's header


def test_a_clip_of_lrt_0_1_0_reads_as_before_and_is_not_taken_for_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "kitchen-01"
    folder.mkdir()
    shutil.copy(GOLDEN / "clip-0.1.0.json", folder / "clip.json")
    header = ClipHeader.read(folder)
    assert (header.clothing, header.lighting, header.occupants, header.consent) == ("blue", "dim", 1, "P07")
    assert header.image_size == (640, 360)
    assert header.history[0]["old"] == "red"
    assert (header.room, header.tags, header.vocabulary) == ("", [], None)
    assert is_as_written(folder)
    assert header.sha256 == "624ca53ed24eaae15215be18cc385f8c54d579ed6b9be356520bffb699d02712"


@pytest.mark.parametrize(
    "fields", [{"room": "The Kitchen"}, {"tags": ["a b"]}, {"tags": ["ü"]}, {"tags": ["a" * 33]}, {"tags": ["a", "a"]}]
)
def test_free_tags_are_short_plain_words_each_once(fields: dict) -> None:
    with pytest.raises(ClipError):
        ClipHeader("a", "red", "dim", 1, "P07", {}, **fields)
    ClipHeader("a", "red", "dim", 1, "P07", {}, room="kitchen-2", tags=["sofa", "evening_1.5"])


def test_a_clip_tagged_by_an_extended_vocabulary_remembers_it_and_who_changed_what(make_clip, tmp_path: Path) -> None:
    folder = make_clip(tmp_path, "kitchen-01")
    with pytest.raises(TagError, match="'grey'"):
        people.mend_tags(folder, clothing="grey")
    (tmp_path / "vocabulary.toml").write_text(GREY_FILE)
    people.mend_tags(folder, clothing="grey", room="kitchen", tags=["sofa", "evening"])
    header = ClipHeader.read(folder)
    assert (header.clothing, header.room, header.tags) == ("grey", "kitchen", ["sofa", "evening"])
    assert header.vocabulary == GREY.as_dict()
    steps = {step["tag"]: (step["old"], step["new"]) for step in header.history}
    assert steps == {
        "clothing": ("red", "grey"),
        "room": ("", "kitchen"),
        "tags": ([], ["sofa", "evening"]),
        "vocabulary": (None, GREY.as_dict()),
    }
    assert all(step["by"] and step["real_ns"] > 1.7e18 for step in header.history)
    assert verify_clip(folder).problems == ()

    (tmp_path / "vocabulary.toml").unlink()  # the clip knows what grey is without the file
    people.mend_tags(folder, occupants=2)
    assert ClipHeader.read(folder).vocabulary == GREY.as_dict()


def test_tags_are_mended_by_command_and_emptied_by_an_empty_word(run, make_clip, tmp_path: Path) -> None:
    folder = make_clip(tmp_path, "kitchen-01")
    code, out, err = run("clips", "tag", folder, "--room", "hall", "--tag", "sofa", "--tag", "evening")
    assert (code, err) == (0, "")
    assert (
        out.strip() == f"{folder}: clothing red, lighting dim, occupants 1, consent P07, room hall, tags sofa evening"
    )
    assert run("clips", "tag", folder, "--tag", "", "--room", "")[0] == 0
    header = ClipHeader.read(folder)
    assert (header.room, header.tags) == ("", [])
    code, _, err = run("clips", "tag", folder, "--tag", "no good")
    assert code == 1
    assert "tag 'no good'" in err
    assert err.count("\n") == 1
    assert run("clips", "tag", folder, "--clothing", "unknown")[0] == 0
    assert run("clips", "tag", folder)[2] == (
        "lrt: nothing to mend: give --clothing, --lighting, --occupants, --consent, --room or --tag\n"
    )


def test_capture_keeps_room_tags_and_vocabulary(run, tmp_path: Path) -> None:
    arguments = ("--clip-id", "a1", "--lighting", "dim", "--consent", "P07", "--rig", "twin", "--out", tmp_path)
    more = ("--seconds", 1, "--room", "hall", "--tag", "sofa")
    code, _, err = run("capture", *arguments, *more, "--clothing", "red")
    assert (code, err) == (0, "")
    header = ClipHeader.read(tmp_path / "a1")
    assert (header.room, header.tags, header.vocabulary) == ("hall", ["sofa"], DEFAULT.as_dict())
    code, _, err = run("capture", *arguments, *more, "--clothing", "unknown")
    assert code == 1
    assert "clothing is unknown" in err  # the twin has to wear something
