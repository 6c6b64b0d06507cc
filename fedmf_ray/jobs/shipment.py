"""What is sent to a cluster with a job, in one zip: this program's code, the scenario, and its ratings."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

import yaml

import fedmf_ray
from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import movielens
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.scenario.sources import MovieLensSource
from fedmf_ray.storage.run_folder import git_revision
from fedmf_ray.study import cells

LARGEST_BYTES = 500 * 10**6
"""Ray keeps a job's working directory in the memory of its head node and takes at most 512 MiB."""

SCENARIO = "scenario.yaml"
_FILES = {"ratings.path": "ratings", "ratings.titles.path": "titles", "test.file": "test"}
"""Keys of a scenario that name a file, and what is in it."""
_DATA = "data"

_SHIPPED = (".py", ".csv", ".j2", ".so", ".typed")
_PLUG_INS = ("fedmf_ray.schemes", "fedmf_ray.rules", "fedmf_ray.sources", "fedmf_ray.metrics")
"""Groups of entry points through which installed distributions extend this program."""


@dataclass(frozen=True)
class Shipment:
    """What a job runs, and what it needs for that.

    command: of ``fedmf-ray``: ``run``, or ``sweep`` for a study. settings: the scenario's tree of keys,
    with paths inside the archive. files: other files in the archive, by their names there. notes: what the
    cluster must have, and what stays there, one line each.
    """

    name: str
    command: Literal["run", "sweep"]
    settings: dict[str, Any]
    files: dict[str, Path]
    notes: list[str] = field(default_factory=list)

    @property
    def env_vars(self) -> dict[str, str]:
        """Environment variables of the job."""
        variables = {"FEDMF_REVISION": git_revision() or ""}
        if any(name.startswith(f"{_DATA}/") for name in self.files):
            variables["FEDMF_DATA"] = _DATA  # a job starts in its working directory
        return variables

    def write(self, path: Path) -> None:
        """Write the zip; the same content gives the same bytes, which Ray uploads only once.

        Raises :class:`FedMFError` if it is larger than :data:`LARGEST_BYTES`.
        """
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, source in sorted([*code(), *self.files.items()]):
                with source.open("rb") as read, archive.open(_entry(name), "w", force_zip64=True) as write:
                    while block := read.read(1 << 20):
                        write.write(block)
            text = yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)
            archive.writestr(_entry(SCENARIO), text)
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise FedMFError(
                f"{', '.join(map(str, self.files.values()))}: {size / 1e6:,.0f} MB when zipped, a Ray job "
                f"can be sent at most {LARGEST_BYTES / 1e6:,.0f} MB: keep fewer ratings, or start the run on "
                "a machine of the cluster that has the file"
            )


def prepare(file: str | Path, overrides: Sequence[str] = ()) -> Shipment:
    """Read and validate a scenario or a study, before anything is sent, and find the files that it needs."""
    settings = scenario_file.read(file, overrides)
    if "sweep" in settings:
        scenarios = [cell.scenario for cell in cells.load(file, overrides).cells]
    else:
        scenarios = [scenario_file.load(file, overrides)]
    if isinstance(settings.get("cluster"), dict):
        settings["cluster"].pop("address", None)  # a job runs on the cluster that it was submitted to
    files = _tables(settings, scenarios, str(file))
    shipped, notes = _data_sets(scenarios)
    notes += _plug_ins()
    if any(scenario.observe for scenario in scenarios):
        notes.append("what observe records stays on the cluster's head node")
    command: Literal["run", "sweep"] = "sweep" if "sweep" in settings else "run"
    return Shipment(scenarios[0].name, command, settings, files | shipped, notes)


def code() -> Iterator[tuple[str, Path]]:
    """The package fedmf_ray as it is installed here, with all its subpackages: archive name and path.

    The native kernel is included: its file name says for which Python and machine it was built, and any
    other Python ignores it.
    """
    folder = Path(fedmf_ray.__path__[0])
    for path in folder.rglob("*"):
        if path.suffix in _SHIPPED and path.is_file():
            yield f"fedmf_ray/{path.relative_to(folder).as_posix()}", path


def _plug_ins() -> list[str]:
    """One line about installed distributions that register plug-ins: a job cannot take them along."""
    found = set()
    for group in _PLUG_INS:
        for entry in entry_points(group=group):
            if entry.dist is not None and not _is_ours(entry.dist.name):
                found.add((entry.dist.name, entry.dist.version))
    if not found:
        return []
    names = ", ".join(f"{name} {version}" for name, version in sorted(found))
    pip = ", ".join(f"{name}=={version}" for name, version in sorted(found))
    return [
        f"installed plug-ins are not sent with a job: if it uses them, the cluster must have {names} "
        f"(--runtime-env with pip: [{pip}])"
    ]


def _is_ours(distribution: str) -> bool:
    return re.sub(r"[-_.]+", "-", distribution).lower() == "fedmf-ray"


def _tables(settings: dict[str, Any], scenarios: Sequence[Scenario], source: str) -> dict[str, Path]:
    """The files that a scenario names, by their archive names, which are also put into ``settings``."""
    files = {}
    for key, what in _FILES.items():
        paths = {_value(scenario.model_dump(), key) for scenario in scenarios} - {None}
        if not paths:
            continue
        path = Path(paths.pop())
        if paths or _value(settings, key) != str(path):
            raise FedMFError(
                f"{source}: sweep: {what} files that change from cell to cell cannot be submitted ({key})"
            )
        if path.is_dir():
            raise FedMFError(f"{path}: is a folder: a job takes along one file of ratings ({key})")
        if not path.is_file():
            raise FedMFError(f"{path}: no such {what} file ({key})")
        name = f"{what}/{path.name}"
        files[name] = path
        scenario_file.assign(settings, key, name)  # relative paths start at the scenario
    return files


def _value(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _data_sets(scenarios: Sequence[Scenario]) -> tuple[dict[str, Path], list[str]]:
    """MovieLens files from this machine's cache, and a note for each that the cluster must have itself."""
    files, notes = {}, []
    sources = [scenario.ratings for scenario in scenarios]
    for name in sorted({source.dataset for source in sources if isinstance(source, MovieLensSource)}):
        wanted = movielens.data_set(name)
        inside = f"{wanted.folder}/{wanted.ratings_file}"
        path = movielens.cache_folder() / inside
        if path.is_file():
            files[f"{_DATA}/{inside}"] = path
        else:
            notes.append(f"{name} is not in this machine's cache: the cluster needs its own (FEDMF_DATA)")
    return files, notes


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
