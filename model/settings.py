"""A training's settings as text: TOML in and out, and `name=value` for one of them."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from .config import ConfigError, ModelConfig, TrainConfig, train_config

CHOSEN = ("preset", "model.name")  # these choose where the other settings start from


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file, flat: `lr_generator`, `model.width`.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
    """
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    model = found.pop("model", {})
    if not isinstance(model, dict):
        raise ConfigError(f"{path}: model is {model!r}; give a table [model] with its name")
    return found | {f"model.{name}": value for name, value in model.items()}


def parse_settings(given: Iterable[str]) -> dict[str, Any]:
    """The settings of `name=value` each, the value as TOML has it; `none` leaves a setting empty.

    Raises:
        ConfigError: no `=`, or a value that is not one of TOML's.
    """
    found: dict[str, Any] = {}
    for each in given:
        shown = " ".join(each.split())
        name, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"--set {shown} has no '='; write it like lr_generator=1e-4")
        if name.strip() in CHOSEN:
            raise ConfigError(f"--set cannot change {name.strip()}; give --{name.strip().split('.')[0]}")
        try:
            (found[name.strip()],) = (None,) if value.strip() == "none" else tomllib.loads(f"value = {value}").values()
        except ValueError as error:  # not TOML's, or more than one
            raise ConfigError(f"--set {shown}: this is no number, true, false or [list]") from error
    return found


def choose_config(
    settings: Mapping[str, Any],
    preset: str | None = None,
    model: str | None = None,
    heatmap_shape: tuple[int, int] = (5, 8),
) -> TrainConfig:
    """The preset's config for the model, with the settings in place of its own.

    Args:
        settings: flat, as `read_settings` gives them; `preset` and `model.name` among them are where it starts from.
        preset, model: go before what the settings say.
        heatmap_shape: the dataset's rows and columns, where the settings say nothing.

    Raises:
        ConfigError: a name that no setting has, a value of another kind, or one that makes no sense.
    """
    from_preset = str(preset or settings.get("preset", "authors"))
    of_model_named = str(model or settings.get("model.name", "spade-sr-64"))
    config = train_config(from_preset, of_model_named, heatmap_shape)
    kinds = {f"model.{name}": kind for name, kind in get_type_hints(ModelConfig).items()} | get_type_hints(TrainConfig)
    del kinds["model"]
    ours: dict[str, Any] = {}
    of_model: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else "; `lrt train --print-config` lists them all"
            raise ConfigError(f"no setting '{name}'{hint}")
        if name not in CHOSEN:
            target = of_model if name.startswith("model.") else ours
            target[name.removeprefix("model.")] = _as_kind(name, value, kinds[name])
    return replace(config, model=replace(config.model, **of_model), **ours)


def _as_kind(name: str, value: Any, kind: Any) -> Any:
    """The value, as the setting's annotation has it: an int is a good float, a list a good tuple."""
    if kind == tuple[float, float] or kind == tuple[int, int]:
        if isinstance(value, list) and len(value) == 2:
            return tuple(_as_kind(name, each, kind.__args__[0]) for each in value)
        raise ConfigError(f"{name} is {_show(value)}; give two numbers: [a, b]")
    if value is None and kind == int | None:
        return None
    if isinstance(value, bool) or kind is bool:
        if isinstance(value, bool) and kind is bool:
            return value
    elif kind is float and isinstance(value, int | float):
        return float(value)
    elif isinstance(value, str if kind is str else int):
        return value
    wanted = {float: "a number", bool: "true or false", str: "a text"}.get(kind, "a whole number")
    raise ConfigError(f"{name} is {_show(value)}; give {wanted}")


def write_settings(config: TrainConfig, heatmap_shape_known: bool = True) -> str:
    """The whole config as TOML that `read_settings` reads; what is empty, TOML cannot say and a comment does.

    Args:
        heatmap_shape_known: False leaves it to the dataset.
    """
    lines = [_line(config, field.name) for field in fields(config) if field.name != "model"]
    lines += ["", "[model]"]
    for field in fields(config.model):
        line = _line(config.model, field.name)
        lines.append(line if heatmap_shape_known or field.name != "heatmap_shape" else "# heatmap_shape: the dataset's")
    return "\n".join(lines) + "\n"


def _line(config: TrainConfig | ModelConfig, name: str) -> str:
    value = getattr(config, name)
    return f"# {name} is not set" if value is None else f"{name} = {_show(value)}"


def _show(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_show, value))}]"
    return "none" if value is None else repr(value)
