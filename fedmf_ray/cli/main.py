"""The command line as a whole: the group of commands, the entry point, and exit codes."""

from __future__ import annotations

import sys
from difflib import get_close_matches

import click

from fedmf_ray import __version__
from fedmf_ray.cli import clean, compare, console, data, doctor, export, jobs, new, reference, runs, studies
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.termination import Terminated, end_terminated, termination_as_interrupt


class _Commands(click.Group):
    """Commands by name; one that is not there is answered with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = get_close_matches(name, self.list_commands(ctx), n=1)
            meant = f": did you mean {near[0]}?" if near else ": fedmf-ray --help lists all"
            ctx.fail(f"no such command {name!r}{meant}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__)
def cli(debug: bool) -> None:
    """Simulate secure federated matrix factorisation (FedMF) on Ray."""


for _command in (
    *(new.new, runs.run, runs.resume, runs.recommend, export.export),
    *(studies.sweep, studies.estimate, studies.audit, studies.report, compare.compare),
    *(jobs.submit, jobs.follow),
    *(reference.scenarios, reference.keys_, data.data, clean.clean),
    doctor.doctor,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of ``fedmf-ray`` and ``python -m fedmf_ray``; an error of the user's is one line.

    Exit codes: 0 success; 1 a run that diverged, a study with cells that are not complete, or a failed check
    of ``doctor``; 2 bad input; 130 Ctrl-C; 143 SIGTERM, which schedulers and ``ray job stop`` send.
    ``submit`` and ``follow`` end with the exit code of their job.
    """
    with termination_as_interrupt():
        try:
            _main()
        except Terminated:  # outside of a command: before it began, or as its message was printed
            end_terminated()


def _main() -> None:
    try:
        cli(standalone_mode=False)
    except click.Abort as error:  # click raises it for any KeyboardInterrupt
        terminated = isinstance(error.__cause__, Terminated)
        console.stderr.print("terminated" if terminated else "interrupted")
        if terminated:
            end_terminated()
        sys.exit(130)
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
        else:
            console.error(_in_one_line(error))
        sys.exit(error.exit_code)
    except FedMFError as error:
        if "--debug" in sys.argv[1:]:
            raise
        console.error(error)
        sys.exit(1 if isinstance(error, DivergenceError) else 2)


_KINDS = {"integer range": "whole number", "integer": "whole number", "float range": "number"}
"""What click calls kinds of values, and plain words for them."""


def _in_one_line(error: click.ClickException) -> str:
    """click says how a command is used in three more lines; where to read that is enough."""
    said = " ".join(error.format_message().split()).rstrip(".")
    for kind, word in _KINDS.items():
        said = said.replace(f"a valid {kind}", f"a {word}")
    said, context = said[:1].lower() + said[1:], getattr(error, "ctx", None)
    return said if context is None or "?" in said else f"{said}: see `{context.command_path} --help`"
