"""Settings by error: repeats are averaged, equal errors share a rank, what means nothing makes no setting."""

import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.ranking import best, ranked


def study(cells):
    """Keys and last error of each cell; a first round is worse."""
    keys = list(cells[0][0])
    rows = [
        {"cell": cell, **named, "round": number, "test_rmse": error + (1 - number)}
        for cell, (named, error) in enumerate(cells)
        for number in (0, 1)
    ]
    return pd.DataFrame(rows)[["cell", *keys, "round", "test_rmse"]]


def test_folds_and_seeds_are_repeats_with_a_deviation():
    table = study([({"test.fold": f, "seed": 1, "model.factors": d}, e)
                   for f, d, e in [(0, 4, 0.9), (0, 8, 0.8), (1, 4, 1.1), (1, 8, 0.7)]])  # fmt: skip
    found = ranked(table)
    assert list(found["setting"]) == ["factors 8", "factors 4"]
    assert list(found["test_rmse"]) == pytest.approx([0.75, 1.0])
    assert found["test_rmse_sd"][1] == pytest.approx(0.2 / 2**0.5)
    assert list(found["cells"]) == [2, 2]
    assert best(found) == "factors 8: test_rmse 0.7500 ± 0.0707"


def test_equal_errors_share_a_rank_and_are_said():
    found = ranked(study([({"model.factors": d}, e) for d, e in [(2, 1.0), (4, 0.5), (8, 0.5)]]))
    assert list(found["rank"]) == [1, 1, 3]
    assert best(found) == "factors 4: test_rmse 0.5000, and 1 more with the same error"
    same = ranked(study([({"model.factors": d}, 0.5) for d in (2, 4)]))
    assert best(same) == "all 2 settings end with the same test_rmse 0.5000"


def test_a_key_size_of_a_scheme_without_keys_makes_no_setting():
    cells = [({"protocol.scheme": s, "protocol.key_bits": b}, e)
             for s, b, e in [("plain", 1024, 0.5), ("plain", 2048, 0.5), ("packed", 2048, 0.6)]]  # fmt: skip
    found = ranked(study(cells))
    assert list(found["setting"]) == ["plain", "packed, 2048 bits"]


def test_without_a_test_error_there_is_no_ranking():
    table = study([({"model.factors": 2}, 1.0)]).assign(test_rmse=float("nan"))
    with pytest.raises(FedMFError, match="no cell has a test_rmse to rank by"):
        ranked(table)
