"""How fast MLflow's clients log, beside MLflow's own server on SQLite with one worker."""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import requests
from figure import Figure, interleaved_s, peer_python
from served import Line, address, free_port, serving, stop, wait_ready

from clary.governance.bearer import bearer
from clary.governance.model import Credentials

CALLS = 100
BATCHES = 10
POINTS = 1_000
PEER = ["mlflow==3.17.2"]
API = "/api/2.0/mlflow/"


class Client:
    """Logs to one run over one warm connection, with requests made ahead of the measurement."""

    def __init__(self, endpoint: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = requests.post(
            f"{endpoint}{API}runs/create",
            json={"experiment_id": "0", "start_time": 1},
            headers=headers,
            timeout=60,
        )
        self._run = answer.json()["run"]["info"]["run_id"]
        self._headers = {**headers, "Content-Type": "application/json"}
        self._endpoint = endpoint
        self.line = Line(address(endpoint))
        self._metrics = map(self._metric, itertools.count())
        self._batches = map(self._batch, itertools.count())

    def _written(self, path: str, document: object) -> bytes:
        body = json.dumps({"run_id": self._run, **document}).encode()
        host = ":".join(map(str, address(self._endpoint)))
        headers = {"Host": host, "Content-Length": str(len(body)), **self._headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {API}{path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def _metric(self, number: int) -> bytes:
        document = {"key": "loss", "value": number / 7, "timestamp": number, "step": number}
        return self._written("runs/log-metric", document)

    def _batch(self, number: int) -> bytes:
        steps = range(number * POINTS, (number + 1) * POINTS)
        metrics = [
            {"key": f"m{step % 10}", "value": step / 7, "timestamp": step, "step": step}
            for step in steps
        ]
        return self._written("runs/log-batch", {"metrics": metrics})

    def log_metric(self) -> None:
        """Log a value."""
        self.line.ask(next(self._metrics))

    def log_batch(self) -> None:
        """Log a thousand values."""
        self.line.ask(next(self._batches))


@contextmanager
def peer(folder: Path):
    """Serve MLflow's own server until the block ends."""
    port = free_port()
    argv = (
        *(peer_python("mlflow", PEER), "-m", "mlflow", "server", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'peer.db'}"),
        *("--default-artifact-root", str(folder / "artifacts")),
    )
    process = subprocess.Popen(
        [str(one) for one in argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_ready(process, port, "/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def figures():
    """Measure single values and batches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder / "home") as served, peer(folder) as theirs:
            keys = Credentials(served.credentials.access_key, served.credentials.secret_key)
            ours, other = Client(served.endpoint, bearer(keys, "us-east-1")), Client(theirs)
            with closing(ours.line), closing(other.line):
                one = (ours.log_metric, other.log_metric)
                interleaved_s(CALLS // 5, *one)
                mine, least = interleaved_s(CALLS, *one)
                batch, batches = interleaved_s(BATCHES, ours.log_batch, other.log_batch)
    return [
        Figure("log_metric, p50", mine * 1e3, "ms", least * 1e3, "mlflow server", least * 1e3),
        Figure("log_batch of 1000, p50", batch * 1e3, "ms", 50, "mlflow server", batches * 1e3),
    ]
