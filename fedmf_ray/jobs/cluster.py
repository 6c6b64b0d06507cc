"""Runs scenarios as jobs of a Ray cluster, through the one HTTP address of its dashboard.

A job writes its run folder on the cluster's head node, in :func:`remote_folder`. When it has ended, a
second small job packs the folder into its own log, and that is how it comes back
(:mod:`~fedmf_ray.jobs.parcel`): it needs no storage that both sides reach, works for jobs that failed or were
stopped, and can be asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shlex
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedmf_ray.engine.backends import import_ray
from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs import parcel
from fedmf_ray.jobs.dashboard import knock, one_line
from fedmf_ray.jobs.shipment import SCENARIO, Shipment

_SILENCE_S = 60.0
_PATIENCE_S = 300.0
"""How long a cluster may not answer before the job is left to itself."""

Show = Callable[[str], None]


def remote_folder(job: str) -> str:
    """Where a job writes on the head node; it stays there until somebody deletes it."""
    return f"/tmp/fedmf-ray-{job}"


@dataclass(frozen=True)
class Ended:
    """How a job ended. exit_code: of its command, 1 if it never had one. reason: Ray's, if not a success."""

    status: str
    exit_code: int
    reason: str

    @property
    def advice(self) -> str:
        """One line for a job that failed."""
        if self.exit_code == 127:  # the shell's
            return "the cluster has no `python` on its PATH: activate its environment before `ray start`"
        if self.reason and "exit code" not in self.reason:  # Ray repeats the log, which has been shown
            return f"{self.status.lower()}: {one_line(self.reason)}"
        return f"ended with exit code {self.exit_code}: the reason is above"


class Cluster:
    """The job service of a Ray cluster."""

    def __init__(self, address: str) -> None:
        """address: ``http://HOST:PORT`` of the dashboard. Raises :class:`FedMFError` if it is of no use."""
        self.address = address.rstrip("/")
        headers = knock(self.address)
        ray = import_ray()
        import aiohttp
        from ray.job_submission import JobSubmissionClient

        # requests' errors are OSErrors; RuntimeErrors are Ray's for answers that it did not expect.
        self._troubles = (OSError, RuntimeError, ValueError, aiohttp.ClientError, asyncio.TimeoutError,
                          ray.exceptions.RayError)  # fmt: skip

        for part in ("dashboard_sdk", "job.sdk"):  # they tell of every upload and connection
            logging.getLogger(f"ray.dashboard.modules.{part}").setLevel(logging.WARNING)
        with _only_our_address(), self._plain_errors():
            self._client = JobSubmissionClient(self.address, headers=headers)

    def submit(self, shipment: Shipment, runtime_env: Mapping[str, Any] | None = None) -> str:
        """Start a job and return its name; it needs nothing of this machine any more.

        runtime_env: what the cluster must set up first, as Ray understands it (``pip``, ``env_vars``).
        """
        job = f"{shipment.name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
        results = remote_folder(job)
        where = f"--results {results}"
        if shipment.command == "sweep":  # named by the job: the same study may be submitted twice
            where = f"--folder {results}/{shipment.name}/study-{job.removeprefix(f'{shipment.name}-')}"
        environment = dict(runtime_env or {})
        # Three seconds, as Ray has it, may be too few to write, and copy, what there is.
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
        environment["env_vars"] = stop | shipment.env_vars | dict(environment.get("env_vars", {}))
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "job.zip"
            shipment.write(archive)
            self._start(job, f"umask 077; exec python -m fedmf_ray {shipment.command} {SCENARIO} {where}",
                        environment | {"working_dir": str(archive)})  # fmt: skip
        return job

    def follow(self, job: str, show: Show) -> Ended:
        """Give each line of a job's log to ``show`` until the job ends.

        A connection that breaks is opened again, and no line is shown twice.
        """
        self._details(job)  # names a job that does not exist
        asyncio.run(self._tail(job, show))
        details = self._details(job)
        status = str(getattr(details.status, "value", details.status))
        code = details.driver_exit_code
        if status == "SUCCEEDED":
            return Ended(status, 0, "")
        return Ended(status, code or 1, details.message or "")

    def stop(self, job: str) -> None:
        """Ask a job to end; :meth:`follow` says when it has."""
        with self._plain_errors():
            self._client.stop_job(job)

    def fetch(self, job: str, results: Path) -> list[Path]:
        """Bring what a job has written into ``results``: its run or study folder, if it came to one.

        A folder that is here already is left as it is. Raises :class:`FedMFError` if it is too large for this
        way, or arrives damaged.
        """
        results.mkdir(parents=True, exist_ok=True)
        errand = f"fetch-{job}-{secrets.token_hex(3)}"
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "fetch.zip"
            with zipfile.ZipFile(archive, "w") as code:
                for package in ("fedmf_ray", "fedmf_ray/jobs"):
                    code.writestr(zipfile.ZipInfo(f"{package}/__init__.py"), "")
                code.writestr(zipfile.ZipInfo("fedmf_ray/jobs/parcel.py"), Path(parcel.__file__).read_bytes())
            command = f"python -m fedmf_ray.jobs.parcel {shlex.quote(remote_folder(job))}"
            self._start(errand, command, {"working_dir": str(archive)})
        # Beside its place, so that folders appear there whole or not at all.
        with (
            tempfile.TemporaryFile() as file,
            tempfile.TemporaryDirectory(dir=results, prefix=".") as scratch,
        ):
            unpacker = parcel.Unpacker(file)
            ended = self.follow(errand, unpacker.line)
            left = f"it stays on the cluster's head node in {remote_folder(job)}"
            if unpacker.size is None:
                raise FedMFError(f"job {job}: its folder cannot be packed ({ended.reason}); {left}")
            if unpacker.size > parcel.LARGEST_BYTES:
                raise FedMFError(
                    f"job {job}: its folder has {unpacker.size / 1e6:,.0f} MB, too much for this way; {left}"
                )
            with contextlib.suppress(Exception):  # its log has been read; the list of jobs is for runs
                self._client.delete_job(errand)
            if unpacker.size == 0:
                return []
            try:
                names = unpacker.unpack(Path(scratch))
            except (ValueError, OSError) as error:
                raise FedMFError(f"job {job}: its folder cannot be unpacked: {error}; {left}") from error
            folders = sorted({Path(*name.parts[:2]) for name in names})
            for name in folders:
                (results / name).parent.mkdir(exist_ok=True)
                if not (results / name).exists():
                    shutil.move(Path(scratch) / name, results / name)
        return [results / name for name in folders]

    def _start(self, job: str, command: str, runtime_env: Mapping[str, Any]) -> None:
        with self._plain_errors():
            self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=dict(runtime_env))

    def _details(self, job: str) -> Any:
        """What the cluster knows of a job; a cluster that is away for a while is waited for."""
        patience = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._client.get_job_info(job)
            except OSError as error:  # as all of requests' errors are
                if time.monotonic() > patience:
                    raise FedMFError(
                        f"{self.address} answers no more; job {job} may go on: `fedmf-ray follow {job}` later"
                    ) from error
                time.sleep(2)
            except self._troubles as error:
                if "404" in str(error):
                    raise FedMFError(f"job {job}: {self.address} knows no such job") from None
                raise FedMFError(f"{self.address}: {one_line(error)}") from error

    async def _tail(self, job: str, show: Show) -> None:
        """Read a log until its job has ended, by web socket or, where that breaks, by plain requests."""
        log = _Log(show)
        while True:
            whole = await self._stream(job, log)
            ended = self._details(job).status.is_terminal()
            if not whole:
                with contextlib.suppress(*self._troubles):
                    log.take(self._client.get_job_logs(job), 0)
                    whole = True
            if ended and whole:
                break
            await asyncio.sleep(2)
        log.close()

    async def _stream(self, job: str, log: _Log) -> bool:
        """Follow a log from its first character; False if the connection broke or fell silent."""
        position = 0
        chunks = self._client.tail_job_logs(job).__aiter__()
        with contextlib.suppress(*self._troubles):
            while True:
                try:
                    chunk = await asyncio.wait_for(chunks.__anext__(), _SILENCE_S)
                except StopAsyncIteration:
                    return True
                log.take(chunk, position)
                position += len(chunk)
        return False

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except self._troubles as error:
            raise FedMFError(f"{self.address}: {one_line(error)}") from error


class _Log:
    """A log that may be read more than once, shown line by line and once."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._seen = 0
        self._rest = ""

    def take(self, text: str, position: int) -> None:
        """``text`` begins ``position`` characters into the log."""
        fresh = text[max(0, self._seen - position) :]
        self._seen = max(self._seen, position + len(text))
        *lines, self._rest = (self._rest + fresh).split("\n")
        for line in lines:
            self._show(line)

    def close(self) -> None:
        """The last line may lack its end."""
        if self._rest:
            self._show(self._rest)


@contextlib.contextmanager
def _only_our_address() -> Iterator[None]:
    """Ray's client prefers these to the address that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
