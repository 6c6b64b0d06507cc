"""What files call users and items: ids that are text, and titles. Only the process that reads them knows.

Everything else works with numbers. Names of users go into no run folder and to no actor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

_LONGEST = 60


@dataclass(frozen=True)
class Names:
    """The texts of ids that were numbered 1, 2, ...: the name of id k is at k - 1.

    users, items: empty where the ids of the file are numbers themselves. titles: of items, by their number;
    some may have none.
    """

    users: Sequence[str] = ()
    items: Sequence[str] = ()
    titles: Mapping[int, str] = field(default_factory=dict)

    def user(self, user_id: int) -> str:
        """The id as the file has it."""
        return self.users[user_id - 1] if self.users else str(user_id)

    def item(self, item_id: int) -> str:
        return self.items[item_id - 1] if self.items else str(item_id)

    def title(self, item_id: int) -> str:
        """What people call an item; ``item ID`` with the id of the file if nobody has said."""
        return self.titles.get(item_id) or f"item {self.item(item_id)}"

    def user_id(self, name: str) -> int | None:
        """The number of a user by the id that the file has for it; None if there is none."""
        if self.users:
            return self.users.index(name) + 1 if name in self.users else None
        return int(name) if re.fullmatch("0|[1-9][0-9]{0,18}", name) else None

    def show_user(self, user_id: int) -> str:
        """For an error message: on one line, whatever the id is made of."""
        return shortened(self.users[user_id - 1]) if self.users else str(user_id)

    def show_item(self, item_id: int) -> str:
        return shortened(self.items[item_id - 1]) if self.items else str(item_id)

    def in_names(self, message: str) -> str:
        """A message of the protocol, which knows numbers alone, with the names of its users and items."""

        def named(found: re.Match[str]) -> str:
            names = self.users if found[1] == "user" else self.items
            known = 0 < int(found[2]) <= len(names)
            return f"{found[1]} {shortened(names[int(found[2]) - 1])}" if known else found[0]

        return re.sub(r"\b(user|item) ([0-9]+)\b", named, message)


class OnDemand(Mapping[int, str]):
    """Titles that are read when somebody asks for one: training needs none."""

    def __init__(self, read: Callable[[], Mapping[int, str]]) -> None:
        self._read = read

    @cached_property
    def _titles(self) -> Mapping[int, str]:
        return self._read()

    def __getitem__(self, item_id: int) -> str:
        return self._titles[item_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._titles)

    def __len__(self) -> int:
        return len(self._titles)


NO_NAMES = Names()
"""Of users and items whose ids are numbers."""


def shortened(text: str) -> str:
    """Quoted, without line breaks, and not longer than a line."""
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
