"""The record of failures that were handled."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from fedmf_ray.engine.progress import Progress
from fedmf_ray.storage.run_folder import RunFolder

_TOLD = ("checkpoints_gone",)
"""Events of which a person should know at once."""


class Journal:
    """Failures that were handled, with the time at which they were: a line each in the run folder.

    What happens before there is a folder is kept until there is one.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: list[dict[str, Any]] = []
        self._folder: RunFolder | None = None

    def __call__(self, event: str, **facts: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        if event in _TOLD:
            self._progress.note(str(facts.get("reason", event)))
        if self._folder is None:
            self._waiting.append(line)
        else:
            self._folder.append_event(line)

    def write_to(self, folder: RunFolder) -> None:
        self._folder = folder
        for line in self._waiting:
            folder.append_event(line)
        self._waiting = []
