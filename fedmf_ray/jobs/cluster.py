"""Runs scenarios as jobs of a Ray cluster, through the HTTP address of its dashboard.

A job writes its run folder on the cluster's head node, in :func:`remote_folder`. When the job has ended, a
second small job prints the folder as text (:mod:`~fedmf_ray.jobs.parcel`), and the client reads it from that
job's log. This needs no shared storage, works for jobs that failed or were stopped, and can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
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

from fedmf_ray.engine.connection import import_ray
from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs import parcel
from fedmf_ray.jobs.dashboard import address_variables_hidden, one_line, required_headers
from fedmf_ray.jobs.shipment import SCENARIO, Shipment

_SILENT_S = 60.0
"""A log stream without a line for so long is opened again."""

_OUTAGE_S = 300.0
"""A cluster that does not answer for so long is an error; its job may continue."""

Show = Callable[[str], None]


def remote_folder(job: str) -> str:
    """The folder that a job writes on the head node; it stays there until somebody deletes it."""
    return f"/tmp/fedmf-ray-{job}"


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    status: Ray's name for it. exit_code: of the job's command, or 1 if the command never started. reason:
    Ray's message if the job failed.
    """

    status: str
    exit_code: int
    reason: str

    @property
    def advice(self) -> str:
        """Why the job failed, in one line."""
        if self.exit_code == 127:  # the shell found no such command
            return "the cluster has no `python` on its PATH: activate its environment before `ray start`"
        if self.reason and "exit code" not in self.reason:  # else Ray only repeats the log
            return f"{self.status.lower()}: {one_line(self.reason)}"
        return f"ended with exit code {self.exit_code}: the reason is above"


class Cluster:
    """The job service of a Ray cluster."""

    def __init__(self, address: str, told: str = "--address") -> None:
        """address: ``http://HOST:PORT`` of the dashboard. told: who named it.

        Raises :class:`FedMFError` if it cannot be used.
        """
        self.address = address.rstrip("/")
        headers = required_headers(self.address, told)
        ray = import_ray()
        import aiohttp
        from ray.job_submission import JobSubmissionClient

        # requests raises OSErrors; Ray raises RuntimeErrors for unexpected answers.
        self._errors = (OSError, RuntimeError, ValueError, aiohttp.ClientError, asyncio.TimeoutError,
                        ray.exceptions.RayError)  # fmt: skip

        for part in ("dashboard_sdk", "job.sdk"):  # they log every upload and connection
            logging.getLogger(f"ray.dashboard.modules.{part}").setLevel(logging.WARNING)
        with address_variables_hidden(), self._errors_in_one_line():
            self._client = JobSubmissionClient(self.address, headers=headers)

    def submit(self, shipment: Shipment, runtime_env: Mapping[str, Any] | None = None) -> str:
        """Start a job and return its name; from then on the job does not depend on this machine.

        runtime_env: what the cluster must set up first, a Ray runtime environment (``pip``, ``env_vars``).
        """
        job = f"{shipment.name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
        results = remote_folder(job)
        where = f"--results {results}"
        if shipment.command == "sweep":  # its name has the job's: the same study may be submitted twice
            where = f"--folder {results}/{shipment.name}/study-{job.removeprefix(f'{shipment.name}-')}"
        environment = dict(runtime_env or {})
        # Ray's default of three seconds may be too short to write and copy the results of a stopped job.
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
        environment["env_vars"] = stop | shipment.env_vars | dict(environment.get("env_vars", {}))
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "job.zip"
            shipment.write(archive)
            self._start(job, f"umask 077; exec python -m fedmf_ray {shipment.command} {SCENARIO} {where}",
                        environment | {"working_dir": str(archive)})  # fmt: skip
        return job

    def follow(self, job: str, show: Show) -> Ended:
        """Call ``show`` with each line of a job's log until the job ends.

        A connection that breaks is opened again; no line is shown twice.
        """
        self._details(job)  # raises if there is no such job
        asyncio.run(self._tail(job, show))
        details = self._details(job)
        status = str(getattr(details.status, "value", details.status))
        code = details.driver_exit_code
        if status == "SUCCEEDED":
            return Ended(status, 0, "")
        return Ended(status, code or 1, details.message or "")

    def stop(self, job: str) -> None:
        """Ask a job to end; :meth:`follow` returns when it has ended."""
        with self._errors_in_one_line():
            self._client.stop_job(job)

    def fetch(self, job: str, results: Path) -> list[Path]:
        """Copy a job's run or study folder into ``results``; returns it, or nothing if there is none.

        A folder that is in ``results`` already is not changed. Raises :class:`FedMFError` if the job's folder
        is too large for this way (:data:`parcel.LARGEST_BYTES`), or arrives damaged.
        """
        results.mkdir(parents=True, exist_ok=True)
        packing = f"fetch-{job}-{secrets.token_hex(3)}"
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "fetch.zip"
            with zipfile.ZipFile(archive, "w") as code:
                for package in ("fedmf_ray", "fedmf_ray/jobs"):
                    code.writestr(zipfile.ZipInfo(f"{package}/__init__.py"), "")
                code.writestr(zipfile.ZipInfo("fedmf_ray/jobs/parcel.py"), Path(parcel.__file__).read_bytes())
            command = f"python -m fedmf_ray.jobs.parcel {shlex.quote(remote_folder(job))}"
            self._start(packing, command, {"working_dir": str(archive)})
        # Unpacked beside its place and then moved, so that a folder appears there complete or not at all.
        with (
            tempfile.TemporaryFile() as file,
            tempfile.TemporaryDirectory(dir=results, prefix=".") as scratch,
        ):
            unpacker = parcel.Unpacker(file)
            ended = self.follow(packing, unpacker.line)
            left = f"it stays on the cluster's head node in {remote_folder(job)}"
            if unpacker.size is None:
                raise FedMFError(f"job {job}: its folder cannot be packed ({ended.reason}); {left}")
            if unpacker.size > parcel.LARGEST_BYTES:
                raise FedMFError(
                    f"job {job}: its folder has {unpacker.size / 1e6:,.0f} MB, too large to fetch; {left}"
                )
            with contextlib.suppress(Exception):  # only runs should stay in the cluster's list of jobs
                self._client.delete_job(packing)
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
        with self._errors_in_one_line():
            self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=dict(runtime_env))

    def _details(self, job: str) -> Any:
        """Ray's details of a job; repeats the request if the cluster does not answer for a while."""
        deadline = time.monotonic() + _OUTAGE_S
        while True:
            try:
                return self._client.get_job_info(job)
            except OSError as error:  # all errors of requests are OSErrors
                if time.monotonic() > deadline:
                    raise FedMFError(
                        f"{self.address}: does not answer; job {job} may continue, `fedmf-ray follow {job}` "
                        "later shows it"
                    ) from error
                time.sleep(2)
            except self._errors as error:
                if "404" in str(error):
                    raise FedMFError(f"job {job}: {self.address} has no such job") from None
                raise FedMFError(f"{self.address}: {one_line(error)}") from error

    async def _tail(self, job: str, show: Show) -> None:
        """Read a log until its job has ended, by web socket or, if that breaks, by plain requests."""
        log = _Log(show)
        while True:
            whole = await self._stream(job, log)
            ended = self._details(job).status.is_terminal()
            if not whole:
                with contextlib.suppress(*self._errors):
                    log.take(self._client.get_job_logs(job), 0)
                    whole = True
            if ended and whole:
                break
            await asyncio.sleep(2)
        log.close()

    async def _stream(self, job: str, log: _Log) -> bool:
        """Read a log from its first character; False if the connection broke or nothing came for a while."""
        position = 0
        chunks = self._client.tail_job_logs(job).__aiter__()
        with contextlib.suppress(*self._errors):
            while True:
                try:
                    chunk = await asyncio.wait_for(chunks.__anext__(), _SILENT_S)
                except StopAsyncIteration:
                    return True
                log.take(chunk, position)
                position += len(chunk)
        return False

    @contextlib.contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise FedMFError(f"{self.address}: {one_line(error)}{_advice(error)}") from error


def _advice(error: BaseException) -> str:
    """What to do about what Ray's job service says."""
    if "No available agent" not in str(error):
        return ""
    return (
        ": the head node's agent, which starts jobs, does not run, perhaps as another Ray on that machine "
        "has its port: restart the head with --dashboard-agent-listen-port, --dashboard-agent-grpc-port and "
        "--metrics-export-port of its own"
    )


class _Log:
    """Shows each line of a log once, although parts of the log may be read several times."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._seen = 0
        self._rest = ""

    def take(self, text: str, position: int) -> None:
        """Show what is new in ``text``, which begins ``position`` characters into the log."""
        fresh = text[max(0, self._seen - position) :]
        self._seen = max(self._seen, position + len(text))
        *lines, self._rest = (self._rest + fresh).split("\n")
        for line in lines:
            self._show(line)

    def close(self) -> None:
        """Show the last line, which may have no line end."""
        if self._rest:
            self._show(self._rest)
