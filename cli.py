"""The command line: `lrt`, whose commands are in console/commands, and how each ends.

Nothing heavy is imported here or there: a command imports what it needs when it runs, so `lrt --help` answers at once
and the rig runs without torch. Results go to stdout (with --json, as one JSON object), everything else to stderr.
"""

import os
import sys

import click

from . import LrtError
from .console.commands import lrt


def main() -> None:
    """The entry point: bad input is one line and exit code 1, a bug keeps its traceback."""
    try:
        code = lrt.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"lrt: {error.format_message()}{where}", err=True)
        code = 1
    except LrtError as error:
        click.echo(f"lrt: {error}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("lrt: stopped", err=True)
        code = 130
    except BrokenPipeError:  # `lrt clips list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":  # torchrun -m lrt.cli
    main()
