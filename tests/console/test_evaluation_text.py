"""What `lrt evaluate` says, to the letter."""

from lrt.console.evaluation import evaluation_text

PLAIN = {
    "mae": 0.0612,
    "clips": 20,
    "split": "test",
    "heat_image_correlation": 0.51,
    "heat_image_correlation_real": 0.7,
    "heat_image_correlation_shuffled": 0.01,
    "reconstruction": {
        "mae_low": 0.05,
        "mae_high": 0.07,
        "mae_of_batches": 0.0613,
        "mae_of_frames": 0.0611,
        "source_rank": 0.42,
        "untrimmed_clips": [],
    },
    "control": None,
    "distances": None,
    "out": "runs/kitchen/evaluation",
}
ONE = {"value": 0.8, "low": 0.7, "high": 0.9, "real": 0.95, "shuffled": 0.2}
CONTROL = {
    "sources": 45,
    "heatmaps": 35,
    "pictures": 547,
    "judge_saw_these_clips": True,
    "warmth_error_c": ONE,
    "clothing_accuracy": None,
    "lighting_accuracy": ONE,
    "code_heat_r2": {**ONE, "low": None, "high": None},
    "warmth_spread_c": 0.1,
    "empty": {"sources": 3, "warmth_error_c": 0.5, "lighting_accuracy": 1.0, "clothing": {}},
}
FAR = {"value": 8.32, "low": 8.0, "high": 8.6, "of_seeds": []}


def test_a_plain_evaluation_gives_the_error_three_ways():
    assert evaluation_text(PLAIN).splitlines() == [
        "reconstruction error 0.0612 [0.0500 .. 0.0700] on 20 test clips",
        "  by batches of 128, as the published 0.0272  0.0613",
        "  by frames, which corrects that              0.0611",
        "  rank of the source frame, 0 best, 1 worst   0.42",
        "heat-image correlation 0.51, real 0.70, shuffled 0.01",
        "runs/kitchen/evaluation",
    ]


def test_control_stands_between_its_bounds_and_says_what_it_cannot_tell():
    lines = evaluation_text({**PLAIN, "control": CONTROL}).splitlines()[5:-1]
    assert lines == [
        "45 sources, 35 heatmaps of other clips, 547 pictures, read by a small network, which learned from these very "
        "clips",
        "  warmth off the heatmap's, degC              0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  clothing of the source                      no labels, or no other clips, to tell by",
        "  light of the source                         0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  heat found in the code, R2, 0 best          0.80, real 0.95, shuffled 0.20",
        "  warmth that moves with the source, degC     0.10",
        "  from 3 empty rooms                          warmth off 0.50 degC, light of the source 1.00",
    ]


def test_only_inceptions_distances_are_fid_and_kid():
    common = {
        "features": "over something",
        "pictures": 9,
        "fewer_than_features": False,
        "precision": FAR,
        "recall": FAR,
    }
    inception = {**common, "fid": FAR, "kid": FAR, "fid_of_real": 1.5, "kid_of_real": None}
    other = {**common, "frechet_distance": FAR, "kernel_distance": FAR, "fewer_than_features": True}
    said = evaluation_text({**PLAIN, "distances": inception}).splitlines()
    assert said[5] == "9 drawn and 9 real pictures, over something"
    assert said[6] == "  FID                                         8.32 [8.00 .. 8.60], real from real 1.50"
    assert said[7] == "  KID                                         8.3200 [8.0000 .. 8.6000]"
    said = evaluation_text({**PLAIN, "distances": other})
    assert "FID" not in said
    assert "Kernel distance" in said
    assert "trust the kernel's" in said
