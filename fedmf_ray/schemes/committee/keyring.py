"""All keys of a simulated committee, from one secret."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fedmf_ray.schemes.committee import kem, keys
from fedmf_ray.schemes.committee.keys import agreeing, public_of, signing
from fedmf_ray.schemes.committee.public import Public
from fedmf_ray.schemes.council import Council
from fedmf_ray.schemes.masked.streams import derive

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


class KeyRing:
    """secret: 32 bytes that the user actors of a run share. In a deployment each key is its owner's alone."""

    def __init__(self, secret: bytes, council: Council, hybrid: bool = False) -> None:
        """hybrid: whether users agree on a second secret by ML-KEM-768, if that is there."""
        self.secret, self._council = secret, council
        self.hybrid = hybrid and kem.available()
        self._nonces: dict[int, bytes] = {}

    @property
    def ciphertexts(self) -> int:
        """How many a user publishes."""
        return len(self.groups) if self.hybrid else 0

    @cached_property
    def groups(self) -> list[tuple[int, ...]]:
        return self._council.groups

    @cached_property
    def public(self) -> Public:
        """What everybody knows of the committee."""
        publics = [public_of(self.group(group)) for group in range(len(self.groups))]
        if self.hybrid:
            seconds = (pair.public_key().public_bytes_raw() for pair in self._second_pairs)
            publics = [one + second for one, second in zip(publics, seconds, strict=True)]
        dealt = [
            tuple(self.member(one).sign(keys.group_text(group, who, public)) for one in who)
            for group, (who, public) in enumerate(zip(self.groups, publics, strict=True))
        ]
        members = [public_of(self.member(one)) for one in range(self._council.members)]
        return Public(
            self._council.colluding, tuple(members), tuple(self.groups), tuple(publics), tuple(dealt)
        )

    def member(self, member: int) -> Ed25519PrivateKey:
        """A member's own."""
        return signing(derive(self.secret, "committee: a member signs", member))

    def group(self, group: int) -> X25519PrivateKey:
        """What the members of a group have dealt among themselves."""
        return agreeing(derive(self.secret, "committee: a group agrees", group))

    @cached_property
    def _second_pairs(self) -> list[Any]:
        purpose = "committee: a group's second pair"
        return [
            kem.pair(derive(self.secret, purpose, group, 0) + derive(self.secret, purpose, group, 1))
            for group in range(len(self.groups))
        ]

    def sent_to_groups(self) -> list[bytes]:
        """Fresh secrets of a user for each group, as ciphertexts; none without a second pair."""
        publics = self.public.group_keys if self.hybrid else ()
        return [kem.encapsulated(public[keys.PUBLIC_BYTES :])[1] for public in publics]

    def second(self, group: int, ciphertexts: Sequence[bytes]) -> tuple[bytes, bytes]:
        """The second secret that a user and a group share, and its ciphertext. A user keeps what it has sent;
        in the simulation it finds that again as the group does, so that its process can be started again."""
        if not ciphertexts:
            return b"", b""
        return self._second_pairs[group].decapsulate(ciphertexts[group]), ciphertexts[group]

    def user(self, user_id: int) -> X25519PrivateKey:
        """A user's own."""
        return agreeing(derive(self.secret, "committee: a user agrees", user_id))

    def user_signs(self, user_id: int) -> Ed25519PrivateKey:
        """A user's own."""
        return signing(derive(self.secret, "committee: a user signs", user_id))

    def user_nonces(self, user_id: int) -> bytes:
        """A user's own, from which the nonces of its uploads follow."""
        if user_id not in self._nonces:
            self._nonces[user_id] = derive(self.secret, "committee: nonces of a user", user_id)
        return self._nonces[user_id]

    def beacon(self, listed: bytes) -> bytes:
        """Stands for public randomness that is drawn after the list of users with this digest."""
        return derive(self.secret, "committee: public randomness", listed)
