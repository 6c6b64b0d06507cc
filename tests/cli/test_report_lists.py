"""The page of a run shows a list where that is nobody's secret, or where somebody asks for it."""

import pandas as pd
import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from tests.support.small_runs import small


@pytest.fixture
def page(tmp_path):
    def of(folder, *words):
        done = CliRunner().invoke(cli, ["report", str(folder), *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return (folder / "report.html").read_text()

    return of


def test_of_synthetic_users_it_is_shown(tmp_path, page):
    folder = run(small(protocol__scheme="plain"), tmp_path / "results", Silent())
    text = page(folder)
    assert "user 1 rated highest" in text
    assert "user 3 rated highest" in page(folder, "--user", "3")


def test_of_real_users_only_if_asked_for(tmp_path, page):
    rows = [(user, item, 1 + (user * item) % 5) for user in range(1, 6) for item in range(1, 7)]
    pd.DataFrame(rows, columns=["user", "item", "rating"]).to_csv(tmp_path / "r.csv", index=False)
    ratings = {"source": "file", "path": str(tmp_path / "r.csv")}
    folder = run(small(ratings=ratings, protocol__scheme="plain"), tmp_path / "results", Silent())
    assert "rated highest" not in page(folder)
    assert "user 2 rated highest" in page(folder, "--user", "2")


def test_a_run_of_which_nothing_is_left_has_a_page_without(tmp_path, page):
    chosen = small(protocol__scheme="plain", cluster__checkpoint_every="never")
    assert "rated highest" not in page(run(chosen, tmp_path / "results", Silent()))
