"""What an adversary with helpers is called."""

from __future__ import annotations

from fedmf_ray.privacy.views import Agreed


def called(who: str, agreed: Agreed) -> str:
    """``server with a user's key``, ``server with 1 member and 3 users``."""
    users, members = len(agreed.helpers), agreed.members
    if who == "server" and (users, members) == (1, 0):
        return "server with a user's key"
    parts = [
        f"{count} {word}{'s' * (count > 1)}"
        for count, word in ((members, "member"), (users, "user"))
        if count
    ]
    if who == "curious user" and users and not members:
        return f"{users} users"
    return f"{who} with {' and '.join(parts)}" if parts else who
