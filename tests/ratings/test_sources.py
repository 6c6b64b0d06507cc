"""The sources of this package are held to the contract that others' are held to."""

import numpy as np
import pytest

from fedmf_ray.ratings import movielens
from fedmf_ray.testing.sources import SourceTests, TableSourceTests
from tests.support.movielens import expect


def rows():
    """(user, item, rating, timestamp): 5 users rate 4 to 8 of 8 items."""
    random = np.random.default_rng(0)
    for user, count in zip([2, 3, 5, 7, 30], [4, 5, 6, 7, 8], strict=True):
        for item in random.permutation(8)[:count].tolist():
            yield user, 100 - item, random.integers(1, 11).item() / 2, random.integers(1000).item()


def lines(separator, header=None):
    table = [separator.join(map(str, row)) for row in rows()]
    return "\n".join([header, *table] if header else table) + "\n"


class TestSynthetic(SourceTests):
    def keys(self, folder):
        return {"source": "synthetic", "users": 6, "items": 20, "sparsity": 0.4}


class TestSyntheticWithoutSkew(SourceTests):
    def keys(self, folder):
        return {"source": "synthetic", "users": 6, "items": 8, "sparsity": 0.0, "popularity_skew": 0.0}


class TestCSV(TableSourceTests):
    def keys(self, folder):
        (folder / "r.csv").write_text(lines(",", "user,item,rating,when"))
        return {"source": "file", "path": str(folder / "r.csv"), "columns": {"timestamp": "when"}}

    def unreadable(self, folder):
        (folder / "bad.csv").write_text("user,item,rating\n1,2,good\n")
        return [{"source": "file", "path": str(folder / name)} for name in ("none.csv", "bad.csv", ".")]


@pytest.mark.parametrize("dataset", ["ml-latest-small", "ml-100k", "ml-1m"])
class TestMovieLens(TableSourceTests):
    @pytest.fixture(autouse=True)
    def here(self, tmp_path, monkeypatch, dataset):
        monkeypatch.setenv("FEDMF_DATA", str(tmp_path))
        expect(monkeypatch, dataset, len(list(rows())))
        self.dataset = dataset

    def keys(self, folder):
        known = movielens.DATA_SETS[self.dataset]
        file = folder / known.folder / known.ratings_file
        file.parent.mkdir(exist_ok=True)
        file.write_text(lines(known.separator, "userId,movieId,rating,timestamp" if known.header else None))
        return {"source": "movielens", "dataset": self.dataset}

    def unreadable(self, folder):
        return [{"source": "movielens", "dataset": name} for name in ("ml-25m", "ml-none")]
