"""What a caller sees of a run while it goes on: nothing, or a bar; and a callback with each row."""

from __future__ import annotations

import html
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, TypeAlias

from fedmf_ray.errors import FedMFError

OnRound: TypeAlias = Callable[[dict[str, Any]], object]
"""Called with each row of ``rounds.csv`` when it is on disk: values by column."""

_PAUSE_S = 0.2
"""Between two lines, or two pictures of a notebook's bar."""


class Screen(Protocol):
    """What is shown of a run or a study."""

    def note(self, text: str) -> None: ...

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None: ...

    def cell(self, done: int, total: int, name: str) -> None: ...

    def close(self) -> None: ...


class Nothing:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None: ...

    def cell(self, done: int, total: int, name: str) -> None: ...

    def close(self) -> None: ...


class Bar:
    """One bar over rounds, on standard error: redrawn in a terminal, a line per round elsewhere."""

    def __init__(self, name: str) -> None:
        from rich import progress
        from rich.console import Console

        self._name = self._label = name
        self._console = Console(stderr=True, highlight=False, emoji=False, force_jupyter=False)
        self._redraws = self._console.is_terminal and sys.stderr.isatty()
        self._printed_at = 0.0
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bars.add_task(name, total=None)
        if self._redraws:
            self._bars.start()

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None:
        number = row["round"] + 1
        text = f"{self._label}: {errors_in(row)}"
        if self._redraws:
            self._bars.update(self._task, completed=number, total=rounds, description=text)
        elif number in (1, rounds) or time.monotonic() - self._printed_at >= _PAUSE_S:
            self._printed_at = time.monotonic()
            self.note(f"{self._label}: round {row['round']} ({number} of {rounds}): {errors_in(row)}")

    def cell(self, done: int, total: int, name: str) -> None:
        self._label = f"{self._name}, {done} of {total} cells, now {name}"
        self._bars.reset(self._task, description=self._label, total=None)
        if not self._redraws:
            self.note(self._label)

    def close(self) -> None:
        if self._redraws:
            self._bars.stop()


class NotebookBar:
    """The same as an element of a notebook's page, which needs no widgets."""

    def __init__(self, name: str) -> None:
        display: Any = import_module("IPython.display").display

        self._name, self._label, self._notes = name, name, list[str]()
        self._drawn_at, self._started = 0.0, time.monotonic()
        self._handle = display(self._picture(0, 0, "starting"), display_id=True)

    def _picture(self, done: int, total: int, text: str) -> Any:
        picture: Any = import_module("IPython.display").HTML

        value = f'value="{done}" max="{total}"' if total else ""
        notes = "".join(f"<br><small>{html.escape(note)}</small>" for note in self._notes[-8:])
        return picture(f"<progress {value}></progress> {html.escape(f'{self._label}: {text}')}{notes}")

    def note(self, text: str) -> None:
        self._notes.append(text)

    def users(self, done: int, total: int) -> None: ...

    def round(self, row: dict[str, Any], rounds: int) -> None:
        number, now = row["round"] + 1, time.monotonic()
        if number == 1:
            self._started = now - row.get("wall_s", 0.0)
        if number in (1, rounds) or now - self._drawn_at >= _PAUSE_S:
            self._drawn_at = now
            left_s = (now - self._started) / number * (rounds - number)
            text = f"round {row['round']} ({number} of {rounds}), {errors_in(row)}, {left_s:.0f} s left"
            self._handle.update(self._picture(number, rounds, text))

    def cell(self, done: int, total: int, name: str) -> None:
        self._label = f"{self._name}, {done} of {total} cells, now {name}"

    def close(self) -> None: ...


class Watcher:
    """The progress of one call: a screen, a callback, and the last note."""

    def __init__(self, screen: Screen, on_round: OnRound | None, again: Callable[[], str]) -> None:
        self._screen, self._on_round, self._again = screen, on_round, again
        self.last_note = ""

    def note(self, text: str) -> None:
        self.last_note = text
        self._screen.note(text)

    def users(self, done: int, total: int) -> None:
        self._screen.users(done, total)

    def cell(self, done: int, total: int, name: str) -> None:
        self._screen.cell(done, total, name)

    def round(self, row: dict[str, Any], rounds: int) -> None:
        from fedmf_ray.engine.progress import StoppedError

        self._screen.round(row, rounds)
        if self._on_round is None:
            return
        try:
            self._on_round(dict(row))
        except Exception as error:
            kind, said = type(error).__name__, " ".join(str(error).split())[:300]
            raise StoppedError(
                f"on_round: raised {kind}{f': {said}' if said else ''} after round {row['round']}, whose row "
                f"is on disk: mend it, then go on: {self._again()}",
                f"on_round raised {kind} after round {row['round']}",
            ) from error


def check_callback(on_round: object) -> None:
    """Raise :class:`FedMFError`, before any work, for what cannot be called with a row."""
    if on_round is None:
        return
    if not callable(on_round):
        raise FedMFError(f"on_round: is {type(on_round).__name__}: give a function of one row, a dict")
    called = getattr(on_round, "__call__", on_round)  # noqa: B004 - of an object, whether its method is async
    if inspect.iscoroutinefunction(on_round) or inspect.iscoroutinefunction(called):
        raise FedMFError("on_round: is a coroutine function, which nobody would wait for: give a plain one")


@contextmanager
def watching(
    name: str, progress: bool, on_round: OnRound | None, again: Callable[[], str]
) -> Iterator[Watcher]:
    """Within the block a run or a study may show itself. again: how a caller goes on with it.

    An interrupt is told on standard error even if nothing else is.
    """
    screen: Screen = Nothing()
    if progress:
        screen = NotebookBar(name) if in_notebook() else Bar(name)
    watcher = Watcher(screen, on_round, again)
    try:
        yield watcher
    except KeyboardInterrupt:
        if watcher.last_note.startswith("interrupted") and not isinstance(screen, Bar):
            print(watcher.last_note, file=sys.stderr)
        raise
    finally:
        screen.close()


def errors_in(row: dict[str, Any]) -> str:
    """The error of a row that a person looks at: of the test set, if there is one."""
    test = row.get("test_rmse")
    if test is not None and test == test:
        return f"test RMSE {test:.4f}"
    return f"train MSE {row['train_mse']:.4f}"


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, which draws HTML."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


def draw_in_notebooks(figure: object) -> None:
    """Let a notebook draw such figures as pictures although pyplot was never asked for one."""
    if in_notebook():
        shell = sys.modules["IPython"].get_ipython()
        formatter = shell.display_formatter.formatters["image/png"]
        if type(figure) not in formatter:
            print_figure: Any = import_module("IPython.core.pylabtools").print_figure

            formatter.for_type(type(figure), lambda drawn: print_figure(drawn, base64=True))
