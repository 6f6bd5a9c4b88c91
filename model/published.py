"""Table 3 of the paper: the five generators, what is printed of each, and which is said to be better than which."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A line of Table 3: figures of the authors' runs on their own data, never to be mixed with ours.

    Attributes:
        parameters: of the generator at the published size, counted.
        fid: over TensorFlow's Inception-v3, against all training images.
        mae: the reconstruction error, [0, 1], on the clips trained on.
    """

    parameters: int
    fid: float
    mae: float


TABLE3 = {
    "spade-64": Published(12_644_611, 11.68, 0.0334),
    "spade-128": Published(15_303_299, 9.62, 0.0278),
    "spade-sr-32": Published(11_381_315, 9.51, 0.0275),
    "spade-sr-64": Published(12_911_875, 8.32, 0.0272),
    "spade-sr-128": Published(16_378_499, 8.03, 0.0266),
}
STANDARD = "spade-sr-64"  # which the paper argues for, against what it prints no figure of
STEPS, BATCH = 34_000, 256  # of the GAN phase behind those figures


def published_pairs(models: list[str]) -> list[tuple[str, str]]:
    """(better, worse) of every two of the models that the paper orders; by FID and by MAE the order is the same."""
    known = sorted((model for model in models if model in TABLE3), key=lambda model: TABLE3[model].fid)
    return [(better, worse) for number, better in enumerate(known) for worse in known[number + 1 :]]


def is_self_resampling(model: str) -> bool:
    """True of SPADE-SR, False of SPADE."""
    return model.startswith("spade-sr-")
