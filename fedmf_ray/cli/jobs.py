"""The commands that use a Ray cluster: submit a job, follow it, and fetch its results."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fedmf_ray.cli import console
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    from fedmf_ray.jobs.cluster import Cluster, Ended, Show

_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")

_address = click.option(
    "--address", envvar=_VARIABLES, default="http://127.0.0.1:8265",
    show_default=True, help="The URL of the cluster's dashboard.",
)  # fmt: skip
_results = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Where run folders go, on this machine.",
)  # fmt: skip


@click.command()
@click.argument("file", metavar="SCENARIO|STUDY", type=click.Path(path_type=Path))
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@_address
@_results
@click.option("--runtime-env", type=click.Path(path_type=Path), metavar="YAML",
              help="What the cluster must install first, as for `ray job submit`.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Print the job's name and do not wait; see `fedmf-ray follow`.")
def submit(
    file: Path,
    overrides: tuple[str, ...],
    address: str,
    results: Path,
    runtime_env: Path | None,
    no_wait: bool,
) -> None:
    """Run a scenario or a study on a Ray cluster, and fetch its folder.

    Sends this program's code, the scenario, and the ratings that it reads. Ctrl-C stops the job.
    """
    from fedmf_ray.jobs.cluster import Cluster
    from fedmf_ray.jobs.shipment import prepare

    shipment = prepare(file, overrides)
    environment = _runtime_env(runtime_env)
    cluster = Cluster(address, _told())
    for note in shipment.notes:
        console.note(note)
    job = cluster.submit(shipment, environment)
    again = f"fedmf-ray follow {job} --address {cluster.address}"
    if no_wait:
        click.echo(job)
        _say(f"to follow it and fetch its results: {again}")
        return
    _say(f"job {job} (if the connection breaks: {again})")
    stopped = False
    try:
        ended = cluster.follow(job, _show(job))
    except KeyboardInterrupt:
        stopped = True
        _say(f"stopping job {job}")
        cluster.stop(job)
        ended = cluster.follow(job, lambda line: None)
    _fetch(cluster, job, results, ended, stopped)


@click.command()
@click.argument("job")
@_address
@_results
def follow(job: str, address: str, results: Path) -> None:
    """Follow a job that was submitted earlier, and fetch its folder.

    Ctrl-C does not stop the job.
    """
    from fedmf_ray.jobs.cluster import Cluster

    cluster = Cluster(address, _told())
    try:
        ended = cluster.follow(job, _show(job))
    except KeyboardInterrupt:
        _say(f"job {job} continues; to stop it: ray job stop {job} --address {cluster.address}")
        sys.exit(130)
    _fetch(cluster, job, results, ended)


def _told() -> str:
    """Who named the address of this command: its option, or a variable."""
    source = click.get_current_context().get_parameter_source("address")
    if source != click.core.ParameterSource.ENVIRONMENT:
        return "--address"
    return next(name for name in _VARIABLES if os.environ.get(name))


def _show(job: str) -> Show:
    from fedmf_ray.jobs.cluster import remote_folder

    def show(line: str) -> None:
        if not line.startswith(remote_folder(job)):  # a path on the cluster; the one here is printed last
            click.echo(line, err=True)

    return show


def _fetch(cluster: Cluster, job: str, results: Path, ended: Ended, stopped: bool = False) -> None:
    """Fetch a job's folder, print where it is, and end with the job's exit code."""
    for folder in cluster.fetch(job, results.expanduser().absolute()):
        click.echo(folder)
    if stopped:
        _say("interrupted")
        sys.exit(130)
    if ended.exit_code:
        console.error(f"job {job}: {ended.advice}")
        sys.exit(ended.exit_code)


def _say(line: str) -> None:
    console.stderr.print(console.escaped(line), soft_wrap=True)


def _runtime_env(path: Path | None) -> dict[str, Any]:
    import yaml

    if path is None:
        return {}
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FedMFError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict) or "working_dir" in tree:
        raise FedMFError(
            f"{path}: must hold keys of a Ray runtime environment, and no working_dir of its own"
        )
    return tree
