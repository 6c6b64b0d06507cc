"""The commands that use another machine: submit a job, follow it, bring its results back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from fedmf_ray.cli.screens import plain, stderr
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    from fedmf_ray.jobs.cluster import Cluster, Ended, Show

_address = click.option(
    "--address", envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"], default="http://127.0.0.1:8265",
    show_default=True, help="Of the cluster's dashboard.",
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
              help="What the cluster must set up first, as for `ray job submit`.")  # fmt: skip
@click.option(
    "--no-wait", is_flag=True, help="Print the job's name and leave; `fedmf-ray follow` comes back."
)
def submit(
    file: Path,
    overrides: tuple[str, ...],
    address: str,
    results: Path,
    runtime_env: Path | None,
    no_wait: bool,
) -> None:
    """Run a scenario, or a study, on a Ray cluster and bring its folder back.

    Takes along this program's code, the scenario, and the ratings it reads. Ctrl-C stops the job.
    """
    from fedmf_ray.jobs.cluster import Cluster
    from fedmf_ray.jobs.shipment import prepare

    shipment = prepare(file, overrides)
    environment = _runtime_env(runtime_env)
    cluster = Cluster(address)
    for note in shipment.notes:
        stderr.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True)
    job = cluster.submit(shipment, environment)
    again = f"fedmf-ray follow {job} --address {cluster.address}"
    if no_wait:
        click.echo(job)
        stderr.print(f"follow it, and bring its results here: {again}", soft_wrap=True)
        return
    stderr.print(f"job {job} (should this connection end: {again})", soft_wrap=True)
    stopped = False
    try:
        ended = cluster.follow(job, _show(job))
    except KeyboardInterrupt:
        stopped = True
        stderr.print(f"stopping job {job}", soft_wrap=True)
        cluster.stop(job)
        ended = cluster.follow(job, lambda line: None)
    _bring(cluster, job, results, ended, stopped)


@click.command()
@click.argument("job")
@_address
@_results
def follow(job: str, address: str, results: Path) -> None:
    """Follow a job that was submitted earlier, and bring its folder back. Ctrl-C leaves the job alone."""
    from fedmf_ray.jobs.cluster import Cluster

    cluster = Cluster(address)
    try:
        ended = cluster.follow(job, _show(job))
    except KeyboardInterrupt:
        ending = f"ray job stop {job} --address {cluster.address}"
        stderr.print(f"job {job} goes on; `{ending}` would end it", soft_wrap=True)
        sys.exit(130)
    _bring(cluster, job, results, ended)


def _show(job: str) -> Show:
    from fedmf_ray.jobs.cluster import remote_folder

    def show(line: str) -> None:
        if not line.startswith(remote_folder(job)):  # where the folder is there; where it is here comes last
            click.echo(line, err=True)

    return show


def _bring(cluster: Cluster, job: str, results: Path, ended: Ended, stopped: bool = False) -> None:
    """Fetch a job's folder, print where it is, and leave with the job's exit code."""
    for folder in cluster.fetch(job, results.expanduser().absolute()):
        click.echo(folder)
    if stopped:
        stderr.print("interrupted")
        sys.exit(130)
    if ended.exit_code:
        stderr.print(f"[red]error:[/] job {job}: {plain(ended.advice)}", soft_wrap=True)
        sys.exit(ended.exit_code)


def _runtime_env(path: Path | None) -> dict[str, Any]:
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
