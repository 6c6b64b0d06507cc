"""Progress of runs and studies on standard error: bars in a terminal, lines in a log.

A round has the number that it has in the files, from 0; ``3 of 8`` counts those that have ended.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from fedmf_ray.cli.amounts import TimeLeft, duration, left
from fedmf_ray.cli.console import escaped, stderr

if TYPE_CHECKING:
    from typing_extensions import Self


def losses(row: Mapping[str, Any]) -> str:
    """``test RMSE 0.6833, train 0.4159``: what counts first; the training error alone without a test set."""
    train, test = math.sqrt(row["train_mse"]), row["test_rmse"]
    return f"train RMSE {train:.4f}" if test != test else f"test RMSE {test:.4f}, train {train:.4f}"


class RunScreen:
    """Two bars, one over rounds and one over users, which disappear when the run has ended."""

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description:31}", markup=False),
            BarColumn(bar_width=None),  # takes what the others leave
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]:>12}", markup=False),
        )
        self._bars = Bars(*columns, console=stderr, transient=True, expand=True)
        self._rounds = self._bars.add_task(f"{name}: starting", total=None, left="")
        self._users = self._bars.add_task("users", total=None, visible=False, left="")
        self._rounds_left = TimeLeft()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        stderr.print(escaped(text), soft_wrap=True)

    def users(self, done: int, total: int) -> None:
        self._bars.update(self._users, completed=done, total=total, visible=True)

    def round(self, row: dict[str, Any], rounds: int) -> None:
        done = row["round"] + 1
        remaining = left(self._rounds_left(done, rounds, row["wall_s"]))
        self._bars.update(self._rounds, completed=done, total=rounds, description=losses(row), left=remaining)


class StudyScreen(RunScreen):
    """A bar over cells above the bars of the running cell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._cells_left = TimeLeft()
        self._cells = self._bars.add_task(name, total=None, left="")

    def note(self, text: str) -> None:
        """Nothing: the notes of a study's cells are nearly all the same."""

    def cell(self, done: int, total: int, name: str) -> None:
        remaining = left(self._cells_left(done, total))
        self._bars.update(self._cells, completed=done, total=total, description="cells", left=remaining)
        self._rounds_left = TimeLeft()
        self._bars.reset(self._rounds, description=name, total=None, left="")
        self._bars.reset(self._users, visible=False, total=None)


class RunLog:
    """One line per round, for a file or the log of a job, where a bar cannot be redrawn.

    If rounds take less than :attr:`_PAUSE_S`, some lines are left out; those of the first and the last round
    are always printed.
    """

    _PAUSE_S = 0.2

    def __init__(self, name: str) -> None:
        self._name = name
        self._printed_at = -math.inf
        self._rounds_left = TimeLeft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def note(self, text: str) -> None:
        stderr.print(escaped(text), soft_wrap=True)

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None:
        """The number is that of ``rounds.csv``, which begins with 0; in brackets is how many have ended."""
        done, now = row["round"] + 1, time.monotonic()
        remaining = left(self._rounds_left(done, rounds, row["wall_s"]))
        if done in (1, rounds) or now - self._printed_at >= self._PAUSE_S:
            self._printed_at = now
            took = duration(row["wall_s"])
            line = f"round {row['round']} ({done} of {rounds}): {losses(row)}, {took}, {remaining}"
            stderr.print(line, soft_wrap=True)


class StudyLog(RunLog):
    """One line per round and one per cell."""

    def note(self, text: str) -> None:
        """Nothing: the notes of a study's cells are nearly all the same."""

    def cell(self, done: int, total: int, name: str) -> None:
        self._rounds_left = TimeLeft()
        line = f"{self._name}: {done} of {total} cells, now {name}"
        stderr.print(escaped(line), soft_wrap=True)


def run_screen(name: str) -> RunScreen | RunLog:
    """Bars if standard error is a terminal, lines if it is not."""
    return RunScreen(name) if _redraws() else RunLog(name)


def study_screen(name: str) -> StudyScreen | StudyLog:
    """Bars if standard error is a terminal, lines if it is not."""
    return StudyScreen(name) if _redraws() else StudyLog(name)


def _redraws() -> bool:
    """Whether bars can be redrawn. Rich alone trusts FORCE_COLOR, which some CI services set for logs."""
    return stderr.is_interactive and sys.stderr.isatty()
