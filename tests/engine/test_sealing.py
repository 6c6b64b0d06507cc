"""What users' processes keep from others: sealed values, boxes, and memory of their own."""

import copy
import errno
import os
import pickle
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest

from fedmf_ray.engine import sealing
from fedmf_ray.engine.sealing import Identity, Sealed, Session, enclose
from fedmf_ray.engine.vault import Place, Vault, this_machine
from fedmf_ray.errors import FedMFError
from tests.engine.test_every_failure import CASES, SMALL, check
from tests.support.mortal import survive
from tests.support.small_runs import small

VALUE = {"integers": np.arange(5000), "name": "V", "none": np.array([])}


def same(value):
    return value["name"] == "V" and all(
        np.array_equal(value[key], VALUE[key]) for key in ("integers", "none")
    )


class TestSealed:
    @pytest.mark.parametrize("longest", [1 << 30, 1000])
    def test_opens_to_the_same_value_whatever_the_pieces(self, monkeypatch, longest):
        monkeypatch.setattr(sealing, "_LONGEST_PIECE", longest)
        session = Session.fresh()
        sealed = pickle.loads(pickle.dumps(session.seal("share", VALUE)))
        assert same(Session(session.secret).open("share", sealed))

    def test_shows_nothing_and_never_the_same_twice(self):
        session = Session.fresh()
        first, second = (b"".join(frame.tobytes() for frame in session.seal("x", VALUE).frames) for _ in "ab")
        assert first != second
        assert VALUE["integers"][:8].tobytes() not in first
        assert b"integers" not in first

    def test_opens_for_nobody_else_under_no_other_label_and_in_no_other_order(self):
        session = Session.fresh()
        sealed = session.seal("share", VALUE)
        swapped = Sealed((sealed.frames[0], *sealed.frames[:0:-1]))
        changed = copy.deepcopy(sealed)
        changed.frames[1].flags.writeable = True
        changed.frames[1][100] ^= 1
        for who, label, what in (
            (Session.fresh(), "share", sealed),
            (session, "key", sealed),
            (session, "share", swapped),
            (session, "share", changed),
            (session, "share", Sealed(sealed.frames[:2])),
        ):
            with pytest.raises(FedMFError):
                who.open(label, what)

    def test_a_box_opens_for_one_identity(self):
        me, other = Identity(), Identity()
        box = enclose(me.public, "members", VALUE)
        assert same(me.open("members", box))
        with pytest.raises(FedMFError):
            other.open("members", box)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memfd_create is Linux's")
class TestVault:
    PARTS = (memoryview(b"a" * (1 << 20)), memoryview(b"bc" * 77))

    def test_is_found_by_another_process_under_its_name_only(self):
        vault = Vault.make("fedmf-test", self.PARTS)
        place = Place(this_machine(), vault.path)
        program = (
            "from fedmf_ray.engine.vault import *\n"
            f"find = lambda name: Vault.find(name, {[part.nbytes for part in self.PARTS]}, [{place!r}])\n"
            "assert bytes(find('fedmf-test').buffers[1]) == b'bc' * 77\n"
            "assert find('fedmf-other') is None\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        assert [bytes(part) for part in vault.buffers] == [bytes(part) for part in self.PARTS]

    def test_cannot_be_changed_and_is_gone_with_its_maker(self):
        vault = Vault.make("fedmf-test", self.PARTS)
        with pytest.raises(PermissionError), open(vault.path, "r+b", buffering=0) as file:
            file.write(b"x")
        place, sizes = Place(this_machine(), vault.path), [part.nbytes for part in self.PARTS]
        del vault
        assert Vault.find("fedmf-test", sizes, [place]) is None

    def test_can_be_made_while_the_system_holds_its_pages(self, monkeypatch):
        """Linux then refuses to seal what is written, which ended a run."""
        reading, writing = os.pipe()
        pwrite = os.pwrite

        def held(descriptor, data, at):
            written = pwrite(descriptor, data, at)
            os.splice(descriptor, writing, 4096, offset_src=0)
            return written

        monkeypatch.setattr(os, "pwrite", held)
        vault = Vault.make("fedmf-test", self.PARTS)
        os.close(reading), os.close(writing)
        assert [bytes(part) for part in vault.buffers] == [bytes(part) for part in self.PARTS]

    @pytest.mark.parametrize("call", ["memfd_create", "ftruncate", "pwrite"])
    def test_a_system_that_refuses_has_none(self, monkeypatch, call):
        monkeypatch.setattr(os, call, Mock(side_effect=OSError(errno.ENOSPC, "no space left on device")))
        opened = len(os.listdir("/proc/self/fd"))
        assert Vault.make("fedmf-test", self.PARTS) is None
        assert len(os.listdir("/proc/self/fd")) == opened

    def test_small_parts_are_not_worth_one(self):
        assert Vault.make("fedmf-test", [memoryview(b"small")]) is None


@pytest.mark.parametrize("obstacle", ["find", "make"])
def test_without_a_vault_every_process_has_tables_of_its_own(tmp_path, monkeypatch, obstacle):
    """Another container, and a system that has none."""
    chosen = small(**SMALL | CASES["packed"])
    expected = survive(chosen, {}, tmp_path / "with")
    monkeypatch.setattr(Vault, obstacle, classmethod(lambda *_: None))
    result = survive(chosen, {}, tmp_path / "without")
    check(result, expected)
    assert (("tables", 0) in result[3].made) == (obstacle == "find")
