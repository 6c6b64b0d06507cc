"""Scenarios that come with the program are found from any folder, and never hide a file."""

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.packaged import found, packaged


def test_all_scenarios_of_the_checkout_are_packaged(root):
    assert {one.path for one in packaged()} == set((root / "scenarios").glob("*.yaml"))


def test_each_has_a_description():
    assert [one.name for one in packaged() if not one.description] == []


def test_a_bare_name_works_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert scenario_file.load("quickstart", ["stop.rounds=3"]).stop.rounds == 3


def test_a_file_here_comes_before_a_packaged_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text("ratings: {source: synthetic, users: 3, items: 4}")
    assert scenario_file.load("quickstart").ratings.users == 3


@pytest.mark.parametrize("word", ["quickstart.yaml", "./quickstart", "../quickstart", "none"])
def test_what_is_no_bare_name_is_a_path(monkeypatch, tmp_path, word):
    monkeypatch.chdir(tmp_path)
    assert str(found(word)) == word.removeprefix("./")
    with pytest.raises(FedMFError, match="no such scenario file.*fedmf-ray scenarios"):
        scenario_file.load(word)


def test_a_name_with_a_typing_error_is_answered_with_the_one_that_may_be_meant():
    with pytest.raises(FedMFError, match=r"^quickstrat: no such scenario file: did you mean quickstart,"):
        scenario_file.load("quickstrat")
