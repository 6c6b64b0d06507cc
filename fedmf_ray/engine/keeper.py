"""The secrets of one users' process: how it gets them, and how it hands them to others of its kind.

On a backend whose actors are processes of their own, whatever leaves this process is sealed
(:mod:`fedmf_ray.engine.sealing`). One actor founds a session: it makes its secret and the users' keys. Every
other one says who it is (:meth:`Keeper.meet`), an actor of the session puts the secret into a box for it
(:meth:`Keeper.admit`), and with that it opens the sealed keys (:meth:`Keeper.enter`).
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from fedmf_ray.engine.sealing import Box, Identity, Sealed, Session, enclose, parts_of
from fedmf_ray.engine.vault import Place, Vault, this_machine
from fedmf_ray.protocol.items import Share
from fedmf_ray.schemes import Evaluator, KeyHolder, Scheme, Shape
from fedmf_ray.storage import key_files
from fedmf_ray.storage.checkpoint_files import Part

Sides = tuple[Evaluator, KeyHolder]
"""Both of a scheme: the servers' and the users'."""

_KEY, _TABLES, _SECRET, _MEMBERS, _SHARE = "key", "tables", "session", "members", "share"


class Greeting(NamedTuple):
    """Who a process is, and where. public: values are enclosed for it under this key."""

    public: bytes
    machine: str


class Keeper:
    """What a user actor does about secrets; its public methods are calls that a driver makes.

    sealed: whether what leaves this process must be.
    """

    _key: KeyHolder
    _evaluator: Evaluator

    def __init__(self, sealed: bool) -> None:
        self._sealed = sealed
        self._session: Session | None = None
        self._vault: Vault | None = None

    def create_keys(self, scheme: Scheme, shape: Shape, part: Part | None) -> float:
        """Begin a session with fresh keys, which ``part`` keeps if given; CPU seconds."""
        return self._found(*key_files.create_keys(scheme, shape, part))

    def load_keys(self, scheme: Scheme, shape: Shape, part: Part) -> float:
        """Begin a session with the keys that :meth:`create_keys` wrote; CPU seconds."""
        return self._found(*key_files.load_keys(scheme, shape, part))

    def _found(self, evaluator: Evaluator, key: KeyHolder, cpu_s: float) -> float:
        self._evaluator = evaluator
        if self._sealed:
            self._session = Session.fresh()
            head, buffers = parts_of(key)
            self._vault = Vault.make(self._name, buffers)
            if self._vault is not None:
                key = pickle.loads(head, buffers=self._vault.buffers)
        self._key = key
        return cpu_s

    def sides(self) -> tuple[Evaluator, KeyHolder | Sealed, Place]:
        """Both sides for others, the users' one for users only; its tables may be left at a place on this
        machine (see :meth:`tables`)."""
        if not self._sealed:
            return self._evaluator, self._key, self._place
        if self._vault is None:
            head, sizes = pickle.dumps(self._key), list[int]()
        else:
            head, buffers = parts_of(self._key)
            sizes = [part.nbytes for part in buffers]
        return self._evaluator, self._inside.seal(_KEY, (head, sizes)), self._place

    def tables(self) -> Sealed:
        """What :meth:`sides` left out, for other machines."""
        return self._inside.seal(_TABLES, [bytes(part) for part in parts_of(self._key)[1]])

    def meet(self) -> Greeting:
        """Who this process is: what is enclosed for it, it alone can read."""
        return Greeting(self._identity.public, this_machine())

    def admit(self, public: bytes) -> Box:
        """The secret of the session, for the process with this public key."""
        return enclose(public, _SECRET, self._inside.secret)

    def enter(
        self,
        secret: Box,
        evaluator: Evaluator,
        key: Sealed,
        places: Sequence[Place],
        tables: Sealed | None = None,
    ) -> Place | None:
        """Join the session. Tables are read where another process of this machine has them, or they are those
        given, and others may read them. None if there are neither: then it must be asked again with them."""
        self._session = session = Session(self._identity.open(_SECRET, secret))
        head, sizes = session.open(_KEY, key)
        buffers: Sequence[Any] = ()
        if sizes:
            self._vault = Vault.find(self._name, sizes, places)
            if self._vault is None:
                if tables is None:
                    return None
                buffers = session.open(_TABLES, tables)
                self._vault = Vault.make(self._name, [memoryview(part) for part in buffers])
            buffers = buffers if self._vault is None else self._vault.buffers
        self._evaluator, self._key = evaluator, pickle.loads(head, buffers=buffers)
        return self._place

    def _share_out(self, share: Share | Sealed) -> Share | Sealed:
        """A share of reading, for other users, as it may leave this process."""
        if not self._sealed or isinstance(share, Sealed):
            return share
        return self._inside.seal(_SHARE, share.compact())

    def _take_in(self, share: Share | Sealed) -> Share:
        """What another user's :meth:`_share_out` gave."""
        if not isinstance(share, Sealed):
            return share
        opened: Share = self._inside.open(_SHARE, share)
        return opened

    def _members_in(self, box: Box) -> Any:
        """What :func:`members_for` enclosed."""
        return self._identity.open(_MEMBERS, box)

    @property
    def _inside(self) -> Session:
        assert self._session is not None
        return self._session

    @cached_property
    def _identity(self) -> Identity:
        return Identity()

    @property
    def _name(self) -> str:
        """Of the vault: nobody outside of the session can know it."""
        return "fedmf-" + hashlib.sha256(b"vault" + self._inside.secret).hexdigest()[:32]

    @property
    def _place(self) -> Place:
        return Place(this_machine(), self._vault.path if self._vault else "")


def members_for(greeting: Greeting, members: Any) -> Box:
    """The users of an actor, which it alone can read."""
    return enclose(greeting.public, _MEMBERS, members)
