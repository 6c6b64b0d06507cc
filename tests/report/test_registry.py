"""The register of pictures, and the contract that each of them keeps."""

import subprocess
import sys

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report import pictures
from fedmf_ray.report.figures import new_figure
from fedmf_ray.report.page import report
from fedmf_ray.testing.pictures import check_picture
from fedmf_ray.testing.sample_folders import sample_run, sample_study
from tests.report.captions import known_captions


@pytest.fixture
def register(monkeypatch):
    """A register that forgets, at the end of the test, what the test adds."""
    pictures.registered()
    monkeypatch.setattr(pictures, "_registered", dict(pictures._registered))


@pytest.mark.parametrize("picture", pictures.registered(), ids=lambda picture: picture.name)
def test_every_picture_keeps_the_contract(picture, tmp_path):
    check_picture(picture, tmp_path)


def shown(folder):
    return known_captions([drawing.caption for drawing in pictures.drawings(folder)])


def test_the_order_on_the_page(tmp_path):
    captions = shown(sample_run(tmp_path / "run"))
    assert captions == [
        "Losses after each round.",
        "Where the time goes, mean round.",
        "Bytes of a user in a round, mean.",
        "What adversaries recover.",
    ]
    captions = shown(sample_study(tmp_path / "study"))
    assert captions == [
        "Protocol seconds over ratings.items, mean round.",
        "Bytes of a user in a round, mean.",
        "Scaling over workers, mean round.",
        "Where the time goes, mean round.",
        "What adversaries recover.",
    ]


def test_one_decorated_function_is_on_the_page_in_its_place(register, tmp_path):
    @pictures.picture("Rounds, counted.", run=15)
    def counted(run, width):
        figure, (axis,) = new_figure(width)
        axis.plot(run.rounds["round"], run.rounds["round"])
        axis.set_title("rounds")
        return figure

    folder = sample_run(tmp_path / "run").path
    captions = [line for line in report(folder).read_text().split("figcaption>") if line.endswith(".</")]
    assert captions[1] == "Rounds, counted.</"


def test_pictures_of_installed_packages_are_loaded(register, monkeypatch):
    loaded = []

    class Entry:
        def load(self):
            loaded.append("theirs")

    found = {"fedmf_ray.pictures": [Entry()]}
    monkeypatch.setattr(pictures, "entry_points", lambda group: found[group])
    pictures._load.cache_clear()
    pictures.registered()
    assert loaded == ["theirs"]


def seconds_over_items(table, title):
    figure, (axis,) = new_figure()
    means = table.groupby("ratings.items")["protocol_s"].mean()
    axis.plot(means.index, means.to_numpy())
    axis.set_title(title)
    return figure


def test_the_contract_finds_a_line_that_mixes_kinds(register, tmp_path):
    @pictures.picture("Mixed.", study=50)
    def mixed(study, width):
        if study.rounds.empty:
            raise FedMFError("no cell is complete")
        return seconds_over_items(study.rounds, " or ".join(study.rounds["basis"].unique()))

    with pytest.raises(AssertionError, match="no single kind"):
        check_picture(pictures.registered()[-1], tmp_path)


def test_the_contract_finds_costs_that_do_not_say_what_they_are(register, tmp_path):
    @pictures.picture("Silent.", study=50)
    def silent(study, width):
        if study.rounds.empty:
            raise FedMFError("no cell is complete")
        return seconds_over_items(study.rounds, "seconds")

    with pytest.raises(AssertionError, match="shows charged costs and does not say so"):
        check_picture(pictures.registered()[-1], tmp_path)


def test_the_contract_finds_a_reason_of_two_lines_and_a_cut_title(register, tmp_path):
    @pictures.picture("Talks.", run=50)
    def talks(run, width):
        raise FedMFError("does not\napply")

    with pytest.raises(pytest.fail.Exception, match="one line"):
        check_picture(pictures.registered()[-1], tmp_path)

    @pictures.picture("Cut.", run=50)
    def cut(run, width):
        figure, (axis,) = new_figure(width)
        axis.set_title("a title that is much too long for one column " * 4)
        return figure

    with pytest.raises(AssertionError, match="cut off at an edge"):
        check_picture(pictures.registered()[-1], tmp_path)


def test_importing_the_report_does_not_import_matplotlib(root):
    code = "import sys, fedmf_ray.report; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_the_report_has_no_commands_and_every_script_has_one(root, script):
    for file in (root / "fedmf_ray" / "report").glob("*.py"):
        assert "click" not in file.read_text(), file
        assert "__main__" not in file.read_text(), file
    for file in (root / "analysis").glob("[!_]*.py"):
        assert script(file.stem).help, file
    assert not (root / "analysis" / "__init__.py").exists()
