"""What all commands are made of: their group, their one result, the options that several share."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ... import __version__

Result = tuple[dict[str, Any], str] | tuple[dict[str, Any], str, int]  # for --json, for a person; the exit code
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
BESIDE_CLIPS = ("consents.toml", "vocabulary.toml")  # what lies among clips and is none


class ClipFolders(click.Path):
    """Folders of clips; of `clips/*`, the files that lie beside them are passed over."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if Path(value).name in BESIDE_CLIPS else super().convert(value, param, ctx)

    @staticmethod
    def pass_over(ctx: click.Context, param: click.Parameter, value: tuple[Path | None, ...]) -> tuple[Path, ...]:
        """The clips among what was given."""
        clips = tuple(clip for clip in value if clip is not None)
        if not clips:
            raise click.MissingParameter(ctx=ctx, param=param)
        return clips


CLIP_FOLDERS = click.argument(
    "clip",
    type=ClipFolders(file_okay=False, path_type=Path),
    nargs=-1,
    required=True,
    callback=ClipFolders.pass_over,
)
RIG = click.option(
    "--rig", metavar="twin|FILE.toml", help="The rig; without it, rig.toml here or in the config folder."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lrt")
def lrt() -> None:
    """Record heat and picture together, and draw the picture from heat alone.

    \b
    The way of the data:
      lrt capture -> lrt calibrate -> lrt build-dataset -> lrt train -> lrt evaluate, lrt synthesise, lrt live

    `lrt demo` goes the whole way on the rig's digital twin, with no sensor and no camera.
    """


def command(name: str, example: str, group: click.Group = lrt) -> Callable[[Callable[..., Result]], click.Command]:
    """A command that prints its result once, as text or (--json) as one JSON object."""

    def wrap(function: Callable[..., Result]) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> int:
            result, text, *code = function(**options)
            click.echo(json.dumps(result) if as_json else text)
            return code[0] if code else 0

        shown = "\n".join(f"  {line}" for line in example.splitlines())
        run = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")(run)
        return group.command(name, epilog=f"\b\nExample:\n{shown}")(run)

    return wrap


def warn(text: str) -> None:
    """Say what a user should know and the command goes on without."""
    click.echo(f"lrt: {text}", err=True)
