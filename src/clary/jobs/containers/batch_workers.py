"""The processes of a transform job that has several containers, or several payloads at once."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

from job_files import ROOT, JobError
from serving import Refused

_PROGRAM = Path(__file__).parent / "batch_worker.py"


class Worker:
    """One container's process, for one payload at a time.

    Parameters
    ----------
    container
        ``Framework`` and ``Environment``, the container's own variables.
    base
        What its files lie below, as they were fetched.
    root
        What it may unpack them below: ``base``, or a directory of its own.
    outer
        Variables that it shares with the job's other containers.
    """

    def __init__(self, container, base, root, outer):
        if root != base:
            _share(base, root)
        environment = {
            **outer,
            **container["Environment"],
            "CLARY_FRAMEWORK": container["Framework"],
            "SAGEMAKER_BASE_DIR": str(root),
        }
        self.connection, other = Pipe()
        with other:
            argv = [sys.executable, str(_PROGRAM), str(other.fileno())]
            self.process = subprocess.Popen(argv, env=environment, pass_fds=[other.fileno()])

    def receive(self):
        """Wait for an answer: ``(body, content type)``, or for word that the model is loaded."""
        try:
            header = json.loads(self.connection.recv_bytes())
            body = self.connection.recv_bytes()
        except (EOFError, OSError):
            code = self.process.wait()
            raise JobError(f"the model's process ended: {code}", kind="AlgorithmError") from None
        if "failed" in header:
            raise JobError(header["failed"], kind=header["kind"])
        if "status" in header:
            raise Refused(header["status"], header["message"])
        return body, header.get("type", "")

    def ask(self, payload, content_type, accept):
        """Have it predict."""
        header = {"type": content_type, "accept": accept}
        with contextlib.suppress(OSError):  # it has ended; receiving says so
            self.connection.send_bytes(json.dumps(header).encode())
            self.connection.send_bytes(payload)
        return self.receive()

    def end(self):
        """Let it go."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


class Rows:
    """Rows of workers, one of each container; a payload goes through one row.

    Parameters
    ----------
    containers
        Each with ``Framework``, ``Environment`` and ``Base``, the place of its files.
    outer
        Variables that they share.
    count
        How many rows there are.
    """

    def __init__(self, containers, outer, count):
        self.free = queue.SimpleQueue()
        self.workers = []
        self.count = count
        try:
            for place in range(count):
                self.start(place, containers, outer)
        except BaseException:
            self.end()
            raise

    def start(self, place, containers, outer):
        """Start a row, and wait until its models are loaded."""
        row = []
        for number, container in enumerate(containers):
            base = ROOT / container["Base"]
            root = ROOT / "workers" / f"{place}-{number}" if place else base
            row.append(Worker(container, base, root, outer))
            self.workers.append(row[-1])
        for worker in row:
            worker.receive()
        self.free.put(row)

    def ask(self, payload, content_type, accept):
        """Predict: the answer of each container is the next one's payload."""
        row = self.free.get()
        try:
            for worker in row[:-1]:
                payload, content_type = worker.ask(payload, content_type, "")
            return row[-1].ask(payload, content_type, accept)
        finally:
            self.free.put(row)

    def end(self):
        """Let all workers go."""
        for worker in self.workers:
            worker.end()


def _share(base, root):
    """Lay the files of a container out once more, to be unpacked once more."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "input").symlink_to(base / "input")
    if not (base / "input" / "model" / "model.tar.gz").exists():
        (root / "model").symlink_to(base / "model")


def outer_variables(containers):
    """Return this process's variables without those that are its first container's own."""
    own = containers[0]["Environment"]
    return {name: value for name, value in os.environ.items() if name not in own}
