"""Rows of users as Parquet: those of CSV, kept as a checkpoint says, and refused in a line."""

import builtins

import numpy as np
import pandas as pd
import pytest

import fedmf_ray
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.storage.parquet_rounds import RoundFiles
from tests.support.small_runs import small

PARQUET = {"results": {"users": "parquet"}, "protocol__scheme": "plain"}
COUNTED = ["round", "basis", "user_id", "download_bytes", "upload_bytes", "upload_rows", "upload_blocks"]
"""Columns that are not measured."""


def rows_of(folder):
    return fedmf_ray.load(folder).users


def test_rows_are_those_of_csv(tmp_path):
    parquet = run(small(**PARQUET), tmp_path / "parquet", Silent())
    csv = run(small(protocol__scheme="plain"), tmp_path / "csv", Silent())
    assert not (parquet / "users.csv.gz").exists()
    assert [file.name for file in sorted((parquet / "users").iterdir())] == [
        f"round-{number:06d}.parquet" for number in range(3)
    ]
    found, expected = rows_of(parquet), rows_of(csv)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found[COUNTED].equals(expected[COUNTED])
    assert pd.read_parquet(parquet / "users").shape == found.shape, "the folder is one table to others"


@pytest.mark.parametrize(
    "stale", [False, True], ids=["as it was left", "with rows of a round that did not end"]
)
def test_a_run_goes_on_with_the_rows_before_its_checkpoint(tmp_path, stale):
    folder = run(small(**PARQUET, cluster__checkpoint_every=1), tmp_path, Silent())
    before = rows_of(folder)
    if stale:
        (folder / "users" / "round-000003.parquet").write_bytes(b"half of a")
    resume(folder, Silent(), ["stop.rounds=5"])
    after = rows_of(folder)
    assert after["round"].unique().tolist() == [0, 1, 2, 3, 4]
    assert after[: len(before)].equals(before)


@pytest.mark.parametrize("what", ["changed", "missing", "more"])
def test_other_rows_than_the_run_wrote_are_refused(tmp_path, what):
    folder = run(small(**PARQUET, cluster__checkpoint_every=1), tmp_path, Silent())
    file = folder / "users" / "round-000001.parquet"
    if what == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    elif what == "missing":
        file.unlink()
    else:
        file.with_name("round-000001b.parquet").write_bytes(file.read_bytes())
    with pytest.raises(FedMFError, match=r"users: the rows of rounds 0 to \d are not as the run wrote them"):
        resume(folder, Silent(), ["stop.rounds=4"])


def test_without_pyarrow_nothing_starts(tmp_path, monkeypatch):
    def no_arrow(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_arrow)
    with pytest.raises(FedMFError, match=r"needs pyarrow: pip install 'fedmf-ray\[parquet\]'"):
        run(small(**PARQUET), tmp_path, Silent())
    assert not any(tmp_path.iterdir())


def test_numbers_have_all_their_bits(tmp_path):
    files, seconds = RoundFiles(tmp_path / "users"), np.array([1 / 3, 1e-9 / 7])
    files.append(0, {"user_id": np.array([1, 2]), "seconds": seconds, "basis": np.array(["measured"] * 2)})
    assert pd.read_parquet(tmp_path / "users")["seconds"].tolist() == seconds.tolist()
    assert files.sync()
    assert not files.sync(), "nothing was added since"
