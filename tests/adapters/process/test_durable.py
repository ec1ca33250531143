"""kill -9 of servers and supervisors: nothing is lost, doubled or left running."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clary.adapters.process import ProcessRunner
from clary.adapters.process.sandbox import Rung
from clary.kernel.errors import Unavailable
from clary.testing.job_runner import LONG_S, specify, texts, until

SERVER = """
import sys
from pathlib import Path
from clary.adapters.process import ProcessRunner
from clary.testing.job_runner import specify
root, count = Path(sys.argv[1]), int(sys.argv[2])
runner = ProcessRunner(root / "processes")
for number in range(count):
    name = f"p{number}"
    command = ["/bin/sh", "-c", "echo ran >> ran; for i in 1 2 3 4 5; do echo $i; sleep 0.02; done"]
    runner.start(specify(runner, name, command, root / f"{name}.log"))
    print(name, flush=True)
"""


def serve(root, count):
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(root), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_outlive_their_server(runner, tmp_path):
    log = tmp_path / "long.log"
    code = f"""
import sys, time
from pathlib import Path
from clary.adapters.process import ProcessRunner
from clary.testing.job_runner import specify
runner = ProcessRunner(Path({str(runner.workspace("long").parent.parent)!r}))
script = "echo begun; while [ ! -e go ]; do sleep 0.01; done; seq 1000; exit 5"
runner.start(specify(runner, "long", ["/bin/sh", "-c", script], Path({str(log)!r})))
print("started", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout.readline() == "started\n"
        until("begun", log)
        server.kill()
    assert runner.status("long").state == "running"
    (runner.workspace("long") / "go").touch()
    status = runner.wait("long", LONG_S)
    assert (status.state, status.exit_code, status.ended_by) == ("exited", 5, "itself")
    assert texts(log) == ["begun", *map(str, range(1, 1001))]


@pytest.mark.parametrize("seed", range(4))
def test_a_server_killed_at_any_moment_starts_everything_once(runner, tmp_path, seed):
    root, count = runner.workspace("p0").parent.parent.parent, 12
    moments = random.Random(seed)
    for _ in range(3):
        with serve(root, count) as server:
            for _ in range(moments.randrange(count)):
                if not server.stdout.readline():
                    break
            time.sleep(moments.random() * 0.03)
            server.kill()
    with serve(root, count) as server:
        assert server.wait(LONG_S) == 0
    for number in range(count):
        name = f"p{number}"
        status = runner.wait(name, LONG_S)
        assert (status.state, status.exit_code) == ("exited", 0), name
        assert (runner.workspace(name) / "ran").read_text() == "ran\n"
        assert texts(root / f"{name}.log") == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("plain", [False, True])
def test_a_killed_supervisor_takes_its_job_with_it(runner, home, tmp_path, plain):
    if plain:
        runner = ProcessRunner(home / "processes", ladder=[Rung(None, own_uid=False)])
    marker = f"{random.SystemRandom().randrange(10**6, 10**7)}"
    log = tmp_path / "orphan.log"
    script = f"echo ready; exec sleep {marker}"
    runner.start(specify(runner, "orphan", ["/bin/sh", "-c", script], log))
    until("ready", log)
    eventually(lambda: host_processes(marker))
    supervisor = int(
        (home / "processes" / "orphan" / "started.json").read_text().split(":")[1].split(",")[0]
    )
    os.kill(supervisor, signal.SIGKILL)
    assert runner.wait("orphan", LONG_S).state == "lost"
    eventually(lambda: not host_processes(marker))
    runner.start(specify(runner, "orphan", ["/bin/true"], log))
    assert runner.status("orphan").state == "lost"
    runner.discard("orphan")
    assert not (home / "processes" / "orphan").exists()


@pytest.mark.parametrize("runner", [ProcessRunner], indirect=True)
def test_what_supervisors_are_forked_from_is_replaced_when_dead(runner, run, tmp_path):
    run(["/bin/true"], "first")
    os.kill(runner._supervisors._source.pid, signal.SIGKILL)
    status, _, _ = run(["/bin/true"], "second")
    assert status.exit_code == 0


def test_no_zombies_pile_up(runner, run):
    for number in range(5):
        run(["/bin/true"], f"p{number}")
    source = runner._supervisors._source.pid
    children = Path(f"/proc/{source}/task/{source}/children")
    supervisors = (
        1 if isinstance(runner, ProcessRunner) else 2
    )  # one waits, one holds a fork server
    eventually(lambda: runner.status("p0") and len(children.read_text().split()) <= supervisors)


def test_an_unusable_log_is_a_clear_refusal_and_no_start(runner, tmp_path):
    spec = specify(runner, "one", ["/bin/true"], tmp_path / "absent" / "log")
    with pytest.raises(Unavailable, match="No such file"):
        runner.start(spec)
    assert runner.status("one") is None
    (tmp_path / "absent").mkdir()
    runner.start(spec)
    assert runner.wait("one", LONG_S).exit_code == 0


def eventually(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def host_processes(marker):
    """Pids of the host's processes that have ``marker`` as a word of their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if marker.encode() in words and words[0] != b"bwrap":
            found.append(int(folder.name))
    return found
