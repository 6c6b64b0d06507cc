"""Progress of runs and studies on standard error: bars in a terminal, lines in a log."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from fedmf_ray.cli.console import escaped, stderr

if TYPE_CHECKING:
    from typing_extensions import Self


class RunScreen:
    """Two bars, one over rounds and one over users, which disappear when the run has ended."""

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description:28}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=stderr, transient=True)
        self._rounds = self._bars.add_task(f"{name}: starting", total=None)
        self._users = self._bars.add_task("users", total=None, visible=False)

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
        loss = f"train MSE {row['train_mse']:.4f}"
        self._bars.update(self._rounds, completed=row["round"] + 1, total=rounds, description=loss)


class StudyScreen(RunScreen):
    """A bar over cells, with an estimate of the time left, above the bars of the running cell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._bars.columns = (
            *self._bars.columns,
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._cells = self._bars.add_task(name, total=None)

    def note(self, text: str) -> None:
        """Nothing: the notes of a study's cells are nearly all the same."""

    def cell(self, done: int, total: int, name: str) -> None:
        self._bars.update(self._cells, completed=done, total=total, description=f"{done} of {total} cells")
        self._bars.reset(self._rounds, description=name, total=None)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def note(self, text: str) -> None:
        stderr.print(escaped(text), soft_wrap=True)

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None:
        number, now = row["round"] + 1, time.monotonic()
        if number in (1, rounds) or now - self._printed_at >= self._PAUSE_S:
            self._printed_at = now
            line = f"round {number} of {rounds}: train MSE {row['train_mse']:.4f}, {row['wall_s']:.3g} s"
            stderr.print(line, soft_wrap=True)


class StudyLog(RunLog):
    """One line per round and one per cell."""

    def note(self, text: str) -> None:
        """Nothing: the notes of a study's cells are nearly all the same."""

    def cell(self, done: int, total: int, name: str) -> None:
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
