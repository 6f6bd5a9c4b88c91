"""What is built and how it is trained: the models' registry and the training presets (no torch in here)."""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .. import LrtError


class ConfigError(LrtError, ValueError):
    """A model, a preset or a setting that does not exist or makes no sense."""


@dataclass(frozen=True)
class ModelConfig:
    """The three networks' sizes; the defaults are the paper's (Table 1, section 3.3)."""

    name: str  # its entry in MODELS
    self_resampling: bool = True  # SPADE-SR: a learned semantic branch; False: SPADE resizes the heatmap instead
    semantic_width: int = 64  # ch: channels of the semantic features
    width: int = 128  # c: the generator's channels at full resolution; 4 c at the heatmap's
    z: int = 128  # length of the non-thermal code
    heatmap_shape: tuple[int, int] = (5, 8)  # rows, columns; an image is 8 times that (three doublings)
    discriminator_width: int = 128  # channels after D's first block; then twice and four times that
    heatmap_head_width: int = 128  # channels of the block in D that reads the heatmap back
    inversion_width: int = 64  # channels after I's first block; then twice, four and eight times that
    batch_norm_momentum: float = (
        0.01  # torch's sense: the share of the newest batch (Keras' 0.99 seen from its other end)
    )
    semantic_norm: bool = False  # batch normalisation in the semantic branch, which washes the heat out (section 3.2)
    regression: bool = False  # x = f(h) by L1 alone, without code, D and I: blurred (section 3.1); `z` is not read

    def __post_init__(self) -> None:
        rows, columns = self.heatmap_shape
        if rows < 2 or columns < 2:
            raise ConfigError(f"heatmap_shape is {rows} x {columns}; the inversion encoder needs 2 x 2 or more")
        for name, value in asdict(self).items():
            if (name == "z" or name.endswith("width")) and value < 1:
                raise ConfigError(f"model.{name} is {value}; give 1 or more")
        if self.semantic_norm and not self.self_resampling:
            raise ConfigError("model.semantic_norm is true, but SPADE has no semantic branch; set self_resampling too")
        if not 0 < self.batch_norm_momentum <= 1:
            raise ConfigError(f"model.batch_norm_momentum is {self.batch_norm_momentum}; give a share, up to 1")

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return 8 * self.heatmap_shape[0], 8 * self.heatmap_shape[1]


MODELS: dict[str, ModelConfig] = {
    model.name: model
    for model in (
        ModelConfig("spade-sr-32", semantic_width=32),
        ModelConfig("spade-sr-64"),  # the paper's standard
        ModelConfig("spade-sr-128", semantic_width=128),
        ModelConfig("spade-64", self_resampling=False),
        ModelConfig("spade-128", self_resampling=False, semantic_width=128),
        ModelConfig("spade-sr-64-bn", semantic_norm=True),
        ModelConfig("regression-64", regression=True),
    )
}
BASELINES = ("spade-sr-64-bn", "regression-64")  # what the paper argues from without printing a figure of it


@dataclass(frozen=True)
class TrainConfig:
    """One training, complete: two runs of equal config and data on one machine are equal.

    The defaults are the preset `authors`: the published figures come from that code, and where it and the paper
    differ the field says so.
    """

    preset: str
    model: ModelConfig
    seed: int = 0
    batch: int = 256
    gan_epochs: int = 400  # an epoch is floor(pairs / batch) steps: 34,000 steps in the paper
    inversion_epochs: int = 10  # the authors set 20 and published the weights of epoch 10
    gan_steps: int | None = (
        None  # in place of gan_epochs: as many steps whatever the dataset's size; a regression's too
    )
    inversion_steps: int | None = None  # likewise

    lr_generator: float = 5e-5
    lr_discriminator: float = 2e-4
    lr_inversion: float = 5e-5
    lr_inversion_discriminator: float = 2e-4  # D goes on learning beside I
    adam_betas: tuple[float, float] = (0.0, 0.999)
    adam_eps: float = 1e-7  # Keras' default, added where Keras adds it (`adam.py`); torch's is 1e-8
    ema: float = 0.999
    inversion_ema: float = 0.99

    r1_weight: float = 5.0  # beta in eq. 4
    r1_factor: float = 0.5  # the authors halve eq. 2; the paper does not
    heatmap_weight: float = 2.0  # gamma in eq. 4
    heatmap_band: float = 0.05  # eq. 3; 0.275 degC, about one step of the sensor, is its noise
    generator_heatmap_factor: float = 1.0  # the authors leave eq. 3's 1/2 out for G; the paper keeps it
    inversion_adversarial_weight: float = 0.1  # lambda in eq. 6

    bf16: bool = False  # networks in bfloat16; D's pass of real images, for R1, losses and weights stay in float32
    compile: bool = False  # through torch.compile: minutes at the start, for which a CPU gains about nothing
    cpu_threads: int | None = None  # for torch, where it computes on the CPU; None: as many as it takes by itself
    log_every: int = 17  # steps; five lines an epoch of the paper. The losses are looked at only then
    sample_every: int = 850  # steps between sample sheets: ten epochs of the paper
    checkpoint_every_s: float = 120.0  # wall time that a power cut may cost; 0: at every line of the log
    loss_limit: float = 1e4  # a loss beyond it has diverged: none of the published run's is above 3

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise ConfigError(f"batch is {self.batch}; batch normalisation needs 2 or more")
        if self.log_every < 1 or self.sample_every < 1:
            raise ConfigError("log_every and sample_every count steps; give 1 or more")
        for name in ("gan_epochs", "inversion_epochs", "gan_steps", "inversion_steps", "cpu_threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give 0 or more")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise ConfigError(f"{name} is {value}; give 0 or more")
        for name, value in (("ema", self.ema), ("inversion_ema", self.inversion_ema)):
            if value >= 1:
                raise ConfigError(f"{name} is {value}; from 1 on an average stays what it was")
        if not all(0 <= beta < 1 for beta in self.adam_betas):
            raise ConfigError(f"adam_betas is {list(self.adam_betas)}; give two numbers from 0 to below 1")

    def to_json(self) -> dict[str, Any]:
        """Every field, the model's too, as plain values."""
        return asdict(self)

    @staticmethod
    def from_json(saved: dict[str, Any]) -> "TrainConfig":
        """The config that `to_json` gave, read back.

        Raises:
            ConfigError: a field is missing or unknown: another version of lrt wrote it.
        """
        try:
            model = ModelConfig(**{**saved["model"], "heatmap_shape": tuple(saved["model"]["heatmap_shape"])})
            return TrainConfig(**{**saved, "model": model, "adam_betas": tuple(saved["adam_betas"])})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"the run's config is not one of this version of lrt ({error})") from error

    def steps(self, pairs: int) -> tuple[int, int]:
        """Steps of the GAN phase and of the inversion phase on so many pairs; of a regression its own, and none.

        Raises:
            ConfigError: there are fewer pairs than one batch.
        """
        an_epoch = pairs // self.batch
        if an_epoch == 0:
            raise ConfigError(
                f"{pairs} pairs do not fill one batch of {self.batch}; record more, or train with a smaller batch"
            )
        gan = self.gan_epochs * an_epoch if self.gan_steps is None else self.gan_steps
        inversion = self.inversion_epochs * an_epoch if self.inversion_steps is None else self.inversion_steps
        return gan, 0 if self.model.regression else inversion


PRESETS = ("authors", "paper", "smoke")


def train_config(
    preset: str = "authors", model: str = "spade-sr-64", heatmap_shape: tuple[int, int] = (5, 8), seed: int = 0
) -> TrainConfig:
    """The preset's config for one model of the registry.

    Args:
        preset: `authors`, the code behind the published figures; `paper`, its text to the letter; `smoke`, small
            networks that learn on two CPU cores in about a minute.
        model: a name in MODELS.
        heatmap_shape: rows, columns of the dataset's heatmaps; the images are 8 times that.

    Raises:
        ConfigError: naming the preset or model that is not there and those that are.
    """
    if model not in MODELS:
        raise ConfigError(f"no model '{model}'; choose one of {', '.join(MODELS)}")
    if preset not in PRESETS:
        raise ConfigError(f"no preset '{preset}'; choose one of {', '.join(PRESETS)}")
    authors = TrainConfig("authors", replace(MODELS[model], heatmap_shape=heatmap_shape), seed)
    if preset == "authors":
        return authors
    if preset == "paper":
        return replace(authors, preset="paper", r1_factor=1.0, generator_heatmap_factor=0.5)
    return _smoke(authors)


def _smoke(authors: TrainConfig) -> TrainConfig:
    """Tuned on the twin's pairs and on drawn figures for one core and about two minutes.

    A D as quick as the authors' (four times G's rate, R1 5) wins within a hundred steps at this size, and G then
    ignores z: an equal rate and a heavier R1 keep light and clothing apart, and many small batches beat few large ones.
    Of widths 8, 12, 16 and 24 at the same cost, 16 redraws clips it never saw best.
    """
    small = replace(
        authors.model,
        width=16,
        semantic_width=max(4, authors.model.semantic_width // 8),
        z=64,
        discriminator_width=12,
        heatmap_head_width=8,
        inversion_width=8,
        batch_norm_momentum=0.1,  # statistics of the last tens of batches, as the EMA's weights are
    )
    return replace(
        authors,
        preset="smoke",
        model=small,
        batch=8,
        gan_steps=800,
        inversion_steps=250,
        lr_generator=1e-3,  # the paper's rates are for 34,000 steps
        lr_discriminator=1e-3,
        lr_inversion=1e-3,
        lr_inversion_discriminator=1e-3,
        adam_betas=(0.0, 0.99),  # a memory of 100 steps, not of 1,000
        ema=0.95,
        inversion_ema=0.95,
        r1_weight=20.0,
        cpu_threads=1,  # layers this small gain a third from a second core, and lose fortyfold when it is busy
        log_every=20,
        sample_every=200,
    )


def differences(config: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Where a config departs from `authors`: field -> (the authors' value, this one's), the model's fields included."""
    authors = train_config("authors", config.model.name, config.model.heatmap_shape, config.seed)
    found = {}
    for field in fields(TrainConfig):
        if field.name not in ("preset", "model"):
            found[field.name] = (getattr(authors, field.name), getattr(config, field.name))
    for field in fields(ModelConfig):
        found[f"model.{field.name}"] = (getattr(authors.model, field.name), getattr(config.model, field.name))
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}
