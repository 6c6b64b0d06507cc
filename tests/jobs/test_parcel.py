"""A folder as lines and back: whole or not at all, and no file that must stay."""

import base64
import hashlib
import io
import random
import tarfile
from pathlib import PurePosixPath

import pytest

from fedmf_ray.jobs import parcel
from fedmf_ray.jobs.parcel import Unpacker, contents, pack, transferable

RUN = {
    "quickstart/run/rounds.csv": b"round,loss\n0,1.5\n",
    "quickstart/run/users.csv.gz": random.Random(1).randbytes(200_000),  # several lines, even packed
    "quickstart/run/plots/convergence.png": b"\x89PNG",
    "quickstart/run/summary.json": b"{}",
}
PRIVATE = {
    "quickstart/run/view/uploads.json": b"a recorded view",
    "quickstart/run/checkpoint/users.npz": b"vectors",
    "quickstart/run/key.pem": b"key",
    "quickstart/run/.hidden.csv": b"hidden",
}


@pytest.fixture
def folder(tmp_path):
    for name, data in {**RUN, **PRIVATE}.items():
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "secret.csv").write_text("not in the folder")
    (tmp_path / "there" / "quickstart" / "run" / "link.csv").symlink_to(tmp_path / "secret.csv")
    return tmp_path / "there"


def unpacker(lines):
    taker = Unpacker(io.BytesIO())
    for line in lines:
        taker.line(line)
    return taker


def test_a_run_is_unpacked_byte_for_byte_and_private_files_stay(folder, tmp_path):
    noise = ["2026-01-01 INFO job_manager.py -- Runtime env is setting up.", "", "Running entrypoint"]
    taker = unpacker([*noise, *pack(folder)])
    names = taker.unpack(tmp_path / "here")
    assert {str(name): (tmp_path / "here" / name).read_bytes() for name in names} == RUN


def test_which_files_are_transferable(folder):
    assert {str(name) for name in contents(folder)} == set(RUN)
    assert not transferable(PurePosixPath("/etc/scenario.yaml"))


def test_a_lost_or_changed_line_is_found(folder, tmp_path):
    lines = list(pack(folder))
    assert len(lines) > 3
    changed = base64.b64encode(bytes(100)).decode()
    for damaged in (lines[:1] + lines[2:], lines[:-1], [lines[0], changed, *lines[2:]]):
        with pytest.raises(ValueError, match="damaged"):
            unpacker(damaged).unpack(tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", ["../out.csv", "a/../../out.csv", "/out.csv", "a/b/key.pem", "a/view/x.csv"])
def test_a_parcel_writes_only_what_belongs_to_a_run(name, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    data = buffer.getvalue()
    first = f"{parcel.MARK} {len(data)} {hashlib.sha256(data).hexdigest()}"
    taker = unpacker([first, base64.b64encode(data).decode(), f"{parcel.MARK} end"])
    with pytest.raises(ValueError, match="no part of a run folder"):
        taker.unpack(tmp_path / "here")
    assert not (tmp_path / "out.csv").exists()


def test_nothing_and_too_much_are_one_line(folder, tmp_path, monkeypatch):
    (line,) = pack(tmp_path / "none")
    assert unpacker([line]).size == 0
    monkeypatch.setattr(parcel, "LARGEST_BYTES", 100)
    (line,) = pack(folder)
    assert (unpacker([line]).size or 0) > 100
