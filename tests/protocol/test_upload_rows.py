"""Where users' rows and shared tables stand in what they upload."""

import tracemalloc

import numpy as np
import pytest

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import KeptRatings
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.upload_rows import UploadRows
from fedmf_ray.tables import Column, SparseRows, Table

RATED = [[0, 3], [], [1, 2, 6], [4]]
DECOYS = [[5], [2], [], []]


def blocks_of(rows, passing=5, users=10, items=7):
    point = FixedPoint(4, 100, 10, users)
    return Blocks(
        (
            Table("items", items, (Column("numbers", 2, point),)),
            Table("sums", 3, (Column("a", 1, point),)),
            Table("passing", passing, tuple(Column(one, 1, point, "fresh") for one in "bc"), 0, 1),
        ),
        rows,
    )


def train_of(rated):
    users = [(np.array(mine, np.int64), np.ones(len(mine))) for mine in rated]
    return KeptRatings(users, 0.0)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize(("first", "stop"), [(0, 4), (1, 3), (2, 3)])
def test_rows_and_tables_are_where_the_layout_says(rows, first, stop):
    """Against a loop over numbers; few rows of a table, or all of it."""
    layout, train = blocks_of(rows), train_of(RATED)
    upload_rows = UploadRows(train, [np.array(mine, np.int64) for mine in DECOYS], layout)
    steps = np.arange(2.0 * len(train.items)).reshape(-1, 2) / 16
    sums = np.arange(12.0).reshape(4, 3, 1) / 16
    few = SparseRows.of(
        [(np.array([user, 4]), np.full((2, 2), user + 1.0)) for user in range(first, stop)], width=2
    )
    mine = slice(train.starts[first], train.starts[stop])
    cut = upload_rows.at(layout)
    for passing in (few, few.dense(5)):
        blocks, integers = cut.filled(first, stop, mine, steps[mine], [sums[first:stop], passing])
        begin = 0
        for user in range(first, stop):
            named = sorted({item // rows for item in RATED[user] + DECOYS[user]})
            whole = [*named, *range(layout.item_count, layout.count)]
            theirs = integers[begin : begin + len(whole)]
            assert blocks[begin : begin + len(whole)].tolist() == whole
            assert cut.block_counts[user] == len(whole)
            expected = np.zeros((layout.count, layout.columns), np.int64)
            for at, item in enumerate(RATED[user], start=int(train.starts[user])):
                expected.reshape(-1)[2 * item : 2 * item + 2] = steps[at] * 16
            of_sums, of_passing = (expected[start:].reshape(-1) for start in layout.starts[1:3])
            of_sums[:3] = 16 * sums[user, :, 0]
            of_passing[[2 * user, 2 * user + 1, 8, 9]] = 16 * (user + 1)
            assert np.array_equal(theirs, expected[whole])
            begin += len(whole)
        assert begin == len(blocks)


def test_blocks_of_shared_tables_are_in_memory_for_few_users_at_once():
    """A million numbers, and a thousand users: one list for each took gigabytes."""
    layout = blocks_of(1, passing=10**6)
    train = train_of([[user % 7] for user in range(1000)])
    upload_rows = UploadRows(train, [np.array([], np.int64)] * 1000, layout)
    tracemalloc.start()
    cut = upload_rows.at(layout)
    counts, (_, peak) = cut.block_counts, tracemalloc.get_traced_memory()
    pieces = cut.pieces(10, 11, [10])
    _, largest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts.tolist() == [1 + layout.count - layout.item_count] * 1000
    assert pieces[0].end == counts[10]
    assert peak < 100e6
    assert largest < 100e6
