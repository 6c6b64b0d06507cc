"""One study folder as an object: its cells, their rounds, and the run of each."""

from __future__ import annotations

import html
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fedmf_ray.api.runs import Run
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """A study, by its folder: ``fedmf_ray.sweep`` returns it, ``Study(path)`` opens it again."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises :class:`FedMFError` if the folder is no study's."""
        self.path = Path(path).expanduser().absolute()
        """The study folder, absolute."""
        if not (self.path / "cells.csv").is_file():
            raise FedMFError(f"{self.path}: is no study that has ended (no cells.csv): run its sweep again")

    @cached_property
    def cells(self) -> pd.DataFrame:
        """``cells.csv``: a row per cell with its swept keys, its status, and the reason if it failed."""
        return self._table("cells.csv")

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """``study.csv``: a row per cell and round, swept keys first; empty if no cell has ended."""
        import pandas as pd

        return self._table("study.csv") if (self.path / "study.csv").is_file() else pd.DataFrame()

    def run(self, cell: int) -> Run:
        """The run of a cell, by its number. It keeps no checkpoint, so its users' side cannot be read."""
        folder = self.path / "cells" / f"{cell:04d}"
        if not folder.is_dir():
            raise FedMFError(
                f"{self.path}: has no run of cell {cell}: it has cells 0 to {len(self.cells) - 1}"
            )
        return Run(folder)

    def report(self, output: str | os.PathLike[str] | None = None) -> Path:
        """Write one self-contained page about the study, and return its path (``report.html`` in it)."""
        from fedmf_ray.report.page import report

        return report(self.path, None if output is None else Path(output))

    def _table(self, name: str) -> pd.DataFrame:
        from fedmf_ray.api.tables import read_exactly

        try:
            return read_exactly(self.path / name)
        except (OSError, ValueError) as error:
            raise FedMFError(
                f"{self.path / name}: cannot be read: {' '.join(str(error).split())[:200]}"
            ) from error

    def _brief(self) -> str:
        complete = int(self.cells["status"].isin(["complete", "converged", "stopped_early"]).sum())
        return f"{complete} of {len(self.cells)} cells complete"

    def __repr__(self) -> str:
        return f"<Study {self.path.parent.name}/{self.path.name}: {self._brief()}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self)[1:-1])}</p>{self.cells.to_html(index=False, max_rows=20)}"

    def __reduce__(self) -> tuple[type[Study], tuple[str]]:
        return Study, (str(self.path),)
