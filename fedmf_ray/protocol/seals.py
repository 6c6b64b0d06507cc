"""Users share the check of published tables, and seal what they checked, so that everybody else reads its
own blocks alone (``protocol.reading: rated``).

    check → settle → seal → read

1. *Check.* The blocks are cut into parts (:mod:`fedmf_ray.protocol.parts`). A *sealer* downloads one, weighs
   it, and sends the *settler*, encrypted, a digest of its place and bytes and what it weighs.
2. *Settle.* The settler has the sum of tags and the list of those that are credited, and holds all shares
   together against them, as a user alone would. It sends everybody, encrypted, a :class:`Token`: which tables
   these are, and what the next ones are held against. Whoever knows a token of a round writes and takes no
   other.
3. *Seal.* A sealer whose digest the settler has got sends a MAC of 16 bytes for each of its blocks, under the
   token: the round, these tables and all before them.
4. *Read.* A user follows the token from the one of the round before, and checks the seals of all blocks that
   it downloads before it opens any. It leaves out no round: it would not know that it has been credited.

Servers pass all this on, and learn nothing but whether tables are accepted. A sealer or a settler can lie to
users; any user can spoil V anyway. A liar who works with the server is a user with the key who does.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.ledger import Ledger, Weighed, tampered
from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.protocol.parts import DIGEST_BYTES, LETTER_BYTES, SEAL_BYTES, Part
from fedmf_ray.schemes import KeyHolder

Integers = NDArray[np.int64]
Wire = NDArray[np.uint8]

_NONCE_BYTES = LETTER_BYTES - 16
LETTERS, TOKENS = b"what sealers and settlers write", b"tokens"
"""Purposes of the users' secrets."""

_NO_INTEGERS: Integers = np.zeros((0, 0), np.int64)


@dataclass(frozen=True)
class Token:
    """Which tables users have checked.

    previous: the token of the tables before. root: a digest of the digests of all parts. credited: one of the
    list of those who are credited. balance, reset: what a :class:`Ledger` holds the next tables against, for
    each server. value: what follows from all that and a secret of the users; seals are made with it.
    """

    round: int
    previous: bytes
    root: bytes
    credited: bytes
    balance: tuple[mpz, ...]
    reset: tuple[mpz, ...]
    value: bytes


@dataclass(frozen=True)
class Settlement:
    """What the settler sends: the token for everybody, encrypted, and to sealers the digests of all parts."""

    token: bytes
    digests: tuple[bytes, ...]


@dataclass(frozen=True)
class Settled:
    """What readers get beside published tables: the token, encrypted, and (blocks, 16) uint8 seals."""

    token: bytes
    seals: Wire


class Sealer:
    """What any user does about the check that users share: it has the key."""

    def __init__(self, key: KeyHolder) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        assert key.authenticator is not None
        self._key, self._authenticator = key, key.authenticator
        self._letters = AESGCM(key.derive(LETTERS))
        self._secret = key.derive(TOKENS)
        self._number_bytes = -(-int(self._authenticator.modulus).bit_length() // 8)

    def check(
        self,
        messages: Sequence[EncryptedItems],
        layout: Blocks,
        at: int,
        parts: Sequence[Part],
        ledger: Ledger,
    ) -> tuple[bytes, bytes]:
        """Part number ``at`` of tables whose form has been checked: its digest, and the settler's share."""
        part = parts[at]
        message, blocks = messages[part.server], np.arange(part.first, part.stop)
        wire = message.ciphertexts[blocks - message.first]
        digest, again = _digest_of(part, message.round, wire), np.isin(blocks, layout.fresh)
        numbers = [self._key.weigh(blocks, _NO_INTEGERS, wire), self._authenticator.join([])]
        if again.any():
            numbers[1] = self._key.weigh(blocks[again], _NO_INTEGERS, wire[again])
        text = digest + ledger.token_before(message.round) + self._written(numbers)
        return digest, self._enclose(_label(b"check", message.round, at, len(parts)), text)

    def settle(
        self,
        shares: Sequence[bytes],
        messages: Sequence[EncryptedItems],
        parts: Sequence[Part],
        ledger: Ledger,
    ) -> Settlement:
        """Hold all shares, in the order of their parts, against the tags of tables whose form has been
        checked.

        Raises :class:`~fedmf_ray.protocol.ledger.TamperedError` unless these are the sum of what servers say
        they are, and follow from the tables that were read last here, or are the very ones.
        """
        number, join = messages[0].round, self._authenticator.join
        before = ledger.token_before(number)
        if len(shares) != len(parts):
            raise tampered(number, 0)
        digests, sums = list[bytes](), [Weighed() for _ in messages]
        for at, (share, part) in enumerate(zip(shares, parts, strict=True)):
            try:
                digest, previous, numbers = self._read(share, _label(b"check", number, at, len(parts)))
            except ValueError as error:
                raise tampered(number, part.server) from error
            if previous != before:
                raise tampered(number, part.server)
            digests.append(digest)
            sums[part.server].blocks.append(numbers[0])
            sums[part.server].fresh.append(numbers[1])
        for server, (one, message) in enumerate(zip(sums, messages, strict=True)):
            try:
                one.tag = self._authenticator.read(message)
                one.pads.append(self._authenticator.pads(message, slice(None)))
            except (IndexError, OverflowError, TypeError, ValueError) as error:
                raise tampered(number, server) from error
        balance = ledger.balanced(number, sums)
        reset = [join(one.fresh) for one in sums]
        credited = _digest(messages[0].credited)
        text = before + _root(digests) + credited + self._written([*balance, *reset])
        # Tables that add up once more may come with other credits: pads are not looked at again.
        if not ledger.takes(number, self._value(number, text)):
            raise tampered(number, 0)
        return Settlement(self._enclose(_label(b"token", number), text), tuple(digests))

    def token(self, letter: bytes, number: int) -> Token:
        """The token of the tables that open a round, from the settler's message.

        Raises ``ValueError`` for anything else.
        """
        text = self._open(letter, _label(b"token", number))
        before, root, credited = (text[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES] for at in range(3))
        numbers = self._numbers(text[3 * DIGEST_BYTES :])
        servers = len(numbers) // 2
        value = self._value(number, text)
        return Token(
            number, before, root, credited, tuple(numbers[:servers]), tuple(numbers[servers:]), value
        )

    def _value(self, number: int, text: bytes) -> bytes:
        return hmac.digest(self._secret, _label(b"token", number) + text, "sha256")

    def seal(
        self,
        settlement: Settlement,
        messages: Sequence[EncryptedItems],
        at: int,
        parts: Sequence[Part],
        ledger: Ledger,
        digest: bytes,
    ) -> Wire:
        """(blocks, 16) seals of a part that was checked here. digest: as :meth:`check` gave it.

        Raises ``ValueError`` unless the settler has got the same: a server may have sent it what this sealer
        wrote of other bytes, in an earlier attempt.
        """
        part = parts[at]
        message = messages[part.server]
        token, digests = self.token(settlement.token, message.round), settlement.digests
        wire = message.ciphertexts[part.first - message.first : part.stop - message.first]
        # Digests of other lengths could be cut elsewhere, and one of them stand for another part.
        known = (
            type(digests) is tuple
            and len(digests) == len(parts)
            and all(type(one) is bytes and len(one) == DIGEST_BYTES for one in digests)
            and _root(digests) == token.root
            and token.previous == ledger.token_before(token.round)
            and ledger.takes(token.round, token.value)
        )
        if not (known and digests[at] == digest == _digest_of(part, token.round, wire)):
            raise ValueError("the settler has settled something else than what was checked here")
        return seals_of(token, np.arange(part.first, part.stop), wire)

    def differing(self, one: Sequence[bytes], other: Sequence[bytes], number: int) -> list[tuple[int, bool]]:
        """Parts of which two sealers, one each, have sent different shares, and whether of the same bytes."""
        found = []
        for at, pair in enumerate(zip(one, other, strict=True)):
            label = _label(b"check", number, at, len(one))
            said = [self._readable(share, label) for share in pair]
            if said[0] != said[1]:
                found.append((at, all(said) and said[0][0] == said[1][0]))
        return found

    def _readable(self, share: bytes, label: bytes) -> tuple[Any, ...]:
        """Of a sealer's message, all that it says; nothing of what is none."""
        try:
            return self._read(share, label)
        except ValueError:
            return ()

    def _read(self, share: bytes, label: bytes) -> tuple[bytes, bytes, list[mpz]]:
        """Of a sealer's message: the digest, the token before, and two numbers."""
        text = self._open(share, label)
        if len(text) != 2 * DIGEST_BYTES + 2 * self._number_bytes:
            raise ValueError("is no message of a sealer")
        numbers = self._numbers(text[2 * DIGEST_BYTES :])
        return text[:DIGEST_BYTES], text[DIGEST_BYTES : 2 * DIGEST_BYTES], numbers

    def _written(self, numbers: Sequence[mpz]) -> bytes:
        return b"".join(int(number).to_bytes(self._number_bytes, "little") for number in numbers)

    def _numbers(self, text: bytes) -> list[mpz]:
        size = self._number_bytes
        return [mpz.from_bytes(text[at : at + size], "little") for at in range(0, len(text), size)]

    def _enclose(self, label: bytes, text: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._letters.encrypt(nonce, text, label)

    def _open(self, letter: bytes, label: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        if type(letter) is not bytes or len(letter) < LETTER_BYTES:
            raise ValueError("is no message of a user")
        try:
            return self._letters.decrypt(letter[:_NONCE_BYTES], letter[_NONCE_BYTES:], label)
        except InvalidTag:
            raise ValueError("is no message of a user, or one for something else") from None


def seals_of(token: Token, blocks: Integers, wire: Wire) -> Wire:
    """(k, 16) the seals of some blocks, (k, pieces, bytes) on the wire, that tables of this token hold."""
    start = hashlib.blake2b(key=token.value, digest_size=SEAL_BYTES, person=b"fedmf-ray seal")
    seals = bytearray()
    for block, row in zip(blocks.tolist(), np.ascontiguousarray(wire), strict=True):
        mac = start.copy()
        mac.update(block.to_bytes(8, "little"))
        mac.update(row)
        seals += mac.digest()
    return np.frombuffer(bytes(seals), np.uint8).reshape(len(blocks), SEAL_BYTES)


def check_seals(token: Token, blocks: Integers, wire: Wire, seals: Wire) -> None:
    """Raise ``ValueError`` unless blocks have the seals, (k, 16), of what was checked.

    An array of objects may hold what says that it equals anything.
    """
    if type(seals) is not np.ndarray or seals.dtype != np.uint8:
        raise ValueError("is no array of seals")
    if not np.array_equal(seals_of(token, blocks, wire), seals):
        raise ValueError("a block is not the one that was checked and sealed")


def check_credited(token: Token, credited: Integers) -> None:
    """Raise ``ValueError`` unless these are the users whom the settler saw credited."""
    if _digest(credited) != token.credited:
        raise ValueError("other users are credited than was checked")


def _root(digests: Sequence[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(digests), digest_size=DIGEST_BYTES, person=b"fedmf-ray root").digest()


def _digest_of(part: Part, number: int, wire: Wire) -> bytes:
    """Of the bytes of a part, and of where and when they stand: no other part has it."""
    start = hashlib.blake2b(_label(b"part", number, *part), digest_size=DIGEST_BYTES)
    start.update(np.ascontiguousarray(wire).data)
    return start.digest()


def _digest(array: Integers) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=DIGEST_BYTES).digest()


def _label(purpose: bytes, number: int, *which: int) -> bytes:
    return purpose + b"".join(one.to_bytes(8, "little") for one in (number, *which))
