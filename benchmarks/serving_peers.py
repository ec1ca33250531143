"""The servers of models that ours is measured beside, each in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from figure import peer_python
from served import DEADLINE_S, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PEERS = Path(__file__).resolve().parent / "peers"
REQUIREMENTS = {
    "flask": ("flask>=3.1,<4", "gunicorn>=23,<26", "numpy", "scipy", "xgboost-cpu>=3,<4"),
    "mlflow": ("mlflow>=3.4,<4", "xgboost-cpu>=3,<4", "scikit-learn<2"),
    "bentoml": ("bentoml>=1.4,<2", "xgboost-cpu>=3,<4", "scipy"),
    "mlserver": ("mlserver>=1.7,<2", "mlserver-xgboost>=1.7,<2"),
}
ROW = (0.6369, 0.2697, 0.0409, 0.0165, 0.8132, 0.9127, 0.6066, 0.5, 0.1, 0.3)
CSV = ",".join(map(str, ROW))


@dataclass(frozen=True)
class Peer:
    """A server, and the request that asks it for one row."""

    argv: Sequence[str]
    port: int
    path: str
    content_type: str
    body: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def request(self) -> bytes:
        """The request, as it is sent."""
        return request(self.path, self.content_type, self.body, self.port)


def request(path: str, content_type: str, body: str, port: int) -> bytes:
    """Write a request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n"
        f"Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def flask(model: Path, folder: Path) -> Peer:
    """One worker with threads, as the container has it."""
    del folder
    port = free_port()
    python = peer_python("serving-flask", REQUIREMENTS["flask"])
    argv = (
        *(str(python), "-m", "gunicorn", "-w", "1", "-k", "gthread", "--threads", "4"),
        *("-b", f"127.0.0.1:{port}", "--keep-alive", "60", "--log-level", "error"),
        "serving_flask:app",
    )
    return Peer(argv, port, "/invocations", "text/csv", CSV, {"MODEL": str(model)}, PEERS)


def mlflow(model: Path, folder: Path) -> Peer:
    """One worker of ``mlflow models serve``."""
    port = free_port()
    python = peer_python("serving-mlflow", REQUIREMENTS["mlflow"])
    saved = folder / "mlflow"
    subprocess.run(
        [str(python), str(PEERS / "serving_mlflow.py"), str(model), str(saved)],
        check=True,
        capture_output=True,
    )
    argv = (
        *(str(python.parent / "mlflow"), "models", "serve", "-m", str(saved), "-p", str(port)),
        *("-h", "127.0.0.1", "--env-manager", "local", "-w", "1"),
    )
    body = json.dumps({"inputs": [list(ROW)]})
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    return Peer(argv, port, "/invocations", "application/json", body, path)


def bentoml(model: Path, folder: Path) -> Peer:
    """One worker of ``bentoml serve``."""
    del folder
    port = free_port()
    python = peer_python("serving-bentoml", REQUIREMENTS["bentoml"])
    argv = (
        *(str(python.parent / "bentoml"), "serve", "serving_bentoml:Scores"),
        *("--host", "127.0.0.1", "-p", str(port)),
    )
    body = json.dumps({"data": [list(ROW)]})
    environment = {
        "MODEL": str(model),
        "BENTOML_DO_NOT_TRACK": "True",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    return Peer(argv, port, "/invocations", "application/json", body, environment, PEERS)


def mlserver(model: Path, folder: Path) -> Peer:
    """MLServer with the model in its own process, where it is fastest."""
    port = free_port()
    python = peer_python("serving-mlserver", REQUIREMENTS["mlserver"])
    home = folder / "mlserver"
    home.mkdir()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
    }
    implementation = {
        "name": "m",
        "implementation": "mlserver_xgboost.XGBoostModel",
        "parameters": {"uri": str(model)},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(implementation))
    argv = (str(python.parent / "mlserver"), "start", str(home))
    tensor = {"name": "x", "shape": [1, len(ROW)], "datatype": "FP32", "data": list(ROW)}
    body = json.dumps({"inputs": [tensor]})
    return Peer(argv, port, "/v2/models/m/infer", "application/json", body)


MAKERS: Mapping[str, Callable[[Path, Path], Peer]] = {
    "mlflow": mlflow,
    "bentoml": bentoml,
    "mlserver": mlserver,
    "flask": flask,
}


@contextmanager
def running(peer: Peer) -> Iterator[int]:
    """Run a peer until the block ends; gives its process id once it predicts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **peer.environment}
    process = subprocess.Popen(
        peer.argv,
        env=environment,
        cwd=peer.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(peer, process)
        yield process.pid
    finally:
        for pid in reversed(tree(process.pid)):
            os.kill(pid, 15)
        process.wait(DEADLINE_S)


def _wait(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    url = f"http://127.0.0.1:{peer.port}{peer.path}"
    headers = {"Content-Type": peer.content_type}
    until = time.monotonic() + 2 * DEADLINE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{peer.argv[0]} ended with {process.returncode}")
        try:
            call = urllib.request.Request(url, peer.body.encode(), headers)
            with urllib.request.urlopen(call, timeout=10):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 404:
                raise RuntimeError(f"{url}: {error.code} {error.read()[:500]!r}") from None
            time.sleep(0.2)
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(url)


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        below.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found.extend(below.get(one, ()))
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and all below it, so far."""
    ticks = 0
    for one in tree(pid):
        try:
            text = Path(f"/proc/{one}/stat").read_text()
        except OSError:
            continue
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")
