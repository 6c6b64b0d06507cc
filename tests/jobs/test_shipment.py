"""What is sent with a job."""

import zipfile
from pathlib import Path

import pytest
import yaml

import fedmf_ray
from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs import shipment
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study import cells


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,1,5\n")
    (tmp_path / "mine.yaml").write_text(
        "ratings: {source: file, path: ratings.csv}\ncluster: {address: elsewhere:6379, in_flight: 3}\n"
    )
    return tmp_path / "mine.yaml"


def unzipped(ready, folder):
    ready.write(folder / "job.zip")
    with zipfile.ZipFile(folder / "job.zip") as archive:
        archive.extractall(folder / "there")
    return folder / "there"


def test_code_scenario_and_ratings_are_sent_and_the_scenario_finds_them(scenario, tmp_path):
    ready = shipment.prepare(scenario, ["stop.rounds=7"])
    there = unzipped(ready, tmp_path)
    for name in (
        "fedmf_ray/__main__.py",
        "fedmf_ray/schemes/paillier/packed.py",
        "fedmf_ray/report/report.html.j2",
    ):
        assert (there / name).is_file()
    assert not list(there.rglob("*.pyc"))
    built = Path(fedmf_ray.__file__).parent.rglob("*.so")  # jobs are as fast as runs here
    assert {one.name for one in there.rglob("*.so")} == {one.name for one in built}
    loaded = scenario_file.load(there / shipment.SCENARIO)
    assert (loaded.name, loaded.stop.rounds, loaded.cluster.in_flight) == ("mine", 7, 3)
    assert loaded.cluster.address is None  # a job belongs to the cluster that it was submitted to
    assert loaded.ratings.path == str(there / "ratings" / "ratings.csv")
    assert (ready.name, ready.command) == ("mine", "run")


def test_all_code_of_all_subpackages_is_sent_and_nothing_else():
    package = Path(fedmf_ray.__file__).parent
    kinds = (".py", ".csv", ".j2", ".so", ".typed")
    expected = {f"fedmf_ray/{p.relative_to(package)}" for p in package.rglob("*") if p.suffix in kinds}
    sent = dict(shipment.code())
    assert set(sent) == expected
    assert all(path.is_file() for path in sent.values())
    subpackages = {file.parent.name for file in package.glob("*/__init__.py")}
    assert {name.split("/")[1] for name in sent if name.count("/") > 1} == subpackages
    for name in ("py.typed", "report/published.csv", "report/report.html.j2", "cli/main.py"):
        assert f"fedmf_ray/{name}" in sent


def install(folder, name, version, entry_points):
    """What pip writes about an installed distribution."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_installed_plug_ins_are_named_once_with_the_remedy(scenario, tmp_path, monkeypatch):
    before = shipment.prepare(scenario).notes
    monkeypatch.syspath_prepend(tmp_path / "site")
    install(tmp_path / "site", "other", "3", "[console_scripts]\nother = other:main\n")
    install(tmp_path / "site", "fedmf_ray", "9", "[fedmf_ray.schemes]\nplain = fedmf_ray:plain\n")
    assert shipment.prepare(scenario).notes == before  # neither one of another program nor ours
    lattice = (
        "[fedmf_ray.schemes]\nckks = lattice:ckks\nbfv = lattice:bfv\n[fedmf_ray.metrics]\nm = lattice:m\n"
    )
    install(tmp_path / "site", "lattice", "1.2", lattice)
    install(tmp_path / "site", "books", "0.1", "[fedmf_ray.sources]\nbooks = books:load\n")
    (note,) = set(shipment.prepare(scenario).notes) - set(before)
    assert "the cluster must have books 0.1, lattice 1.2 " in note
    assert "--runtime-env with pip: [books==0.1, lattice==1.2]" in note
    assert "\n" not in note


def test_a_study_is_sent_as_a_study(root, tmp_path):
    ready = shipment.prepare(root / "scenarios" / "study-keys-small.yaml")
    assert ready.command == "sweep"
    there = cells.load(unzipped(ready, tmp_path) / shipment.SCENARIO)
    here = cells.load(root / "scenarios" / "study-keys-small.yaml")
    assert [cell.scenario for cell in there.cells] == [cell.scenario for cell in here.cells]


def test_the_same_content_is_the_same_archive(scenario, tmp_path):
    for name in ("a.zip", "b.zip"):
        shipment.prepare(scenario).write(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_movielens_is_sent_from_the_cache_or_the_cluster_must_have_it(root, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(tmp_path))
    file = root / "scenarios" / "reference-part.yaml"
    away = shipment.prepare(file)
    assert away.files == {}
    assert "FEDMF_DATA" not in away.env_vars
    assert "ml-latest-small is not in this machine's cache" in away.notes[0]
    (tmp_path / "ml-latest-small").mkdir()
    ratings = tmp_path / "ml-latest-small" / "ratings.csv"
    ratings.write_text("userId,movieId,rating,timestamp\n")
    here = shipment.prepare(file)
    assert here.files == {"data/ml-latest-small/ratings.csv": ratings}
    assert here.env_vars["FEDMF_DATA"] == "data"
    assert here.notes == []


def test_what_cannot_be_sent_is_one_line(scenario, tmp_path, monkeypatch):
    monkeypatch.setattr(shipment, "LARGEST_BYTES", 1000)
    with pytest.raises(FedMFError, match=r"ratings.csv: \d MB when zipped, a Ray job can be sent at most"):
        shipment.prepare(scenario).write(tmp_path / "job.zip")
    tree = yaml.safe_load(scenario.read_text())
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tree | {"sweep": {"ratings.path": ["a", "b"]}}))
    with pytest.raises(FedMFError, match="study.yaml: sweep: ratings files that change"):
        shipment.prepare(tmp_path / "study.yaml")
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(FedMFError, match="ratings.csv: no such ratings file"):
        shipment.prepare(scenario)


def test_a_folder_of_ratings_is_not_sent(scenario, tmp_path):
    tree = yaml.safe_load(scenario.read_text())
    (tmp_path / "parts").mkdir()
    (tmp_path / "folder.yaml").write_text(
        yaml.safe_dump(tree | {"ratings": {"source": "file", "path": "parts"}})
    )
    with pytest.raises(FedMFError, match="parts: is a folder: a job takes along one file of ratings"):
        shipment.prepare(tmp_path / "folder.yaml")
