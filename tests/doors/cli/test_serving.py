from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from clary.governance.presence import find

CLARY = (sys.executable, "-m", "clary")
PROGRAM = "import sys; print('on', flush=True); sys.stdin.read()"
WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


@pytest.fixture
def server(home):
    process = subprocess.Popen(
        [*CLARY, "up", "--port", "0", "--allow-reset"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith(f"clary serves {home} at http://127.0.0.1:")
    yield process
    process.terminate()
    process.communicate(timeout=60)


def gone(home):
    """Wait until no server runs on the home."""
    wait = threading.Event()
    while find(home):
        wait.wait(0.02)
    return True


def test_what_a_server_writes_is_its_owner_s_alone(home):
    home.mkdir(mode=0o755)  # as somebody else may have made it
    process = subprocess.Popen(
        [*CLARY, "up", "--port", "0"], stdout=subprocess.PIPE, text=True, umask=0o022
    )
    try:
        process.stdout.readline()
        open_to_others = [path.name for path in home.iterdir() if path.stat().st_mode & 0o077]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert open_to_others == []


def test_it_answers_and_is_found_and_ends_when_told(server, home):
    there = find(home)
    with urllib.request.urlopen(f"{there.endpoint}/_clary/health") as answer:
        assert answer.status == 200
    assert there.pid == server.pid
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(60) == 0
    assert find(home) is None
    assert (home / "server.log").stat().st_size > 0


def test_a_home_has_one_server(server, home, clary):
    said = clary("up", "--port", "0")
    assert said.code == 1
    assert said.err.startswith(f"clary: a server already runs on {home} at http://127.0.0.1:")
    assert clary("status", "--json").json["pid"] == server.pid


def test_a_server_killed_leaves_its_home_free(server, home):
    os.kill(server.pid, signal.SIGKILL)
    server.wait(60)
    assert find(home) is None


def test_a_taken_port_is_named(clary):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = clary("up", "--port", port)
    assert said.code == 1
    assert f"127.0.0.1:{port} is taken" in said.err


def test_no_authentication_only_among_ourselves(clary, home):
    said = clary("up", "--no-auth", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 1
    assert "let everybody in" in said.err
    assert not home.exists()


def test_reset_empties_the_home_and_keeps_its_keys(server, home):
    run = [*CLARY, "run", "--", sys.executable, "-c"]
    make = "import boto3; boto3.client('iam').create_role(RoleName='R', "
    make += """AssumeRolePolicyDocument='{"Statement": [{}]}')"""
    subprocess.run([*run, make], check=True)
    keys = (home / "credentials.json").read_bytes()
    request = urllib.request.Request(f"{find(home).endpoint}/_clary/reset", method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    names = "import boto3; print(len(boto3.client('iam').list_roles()['Roles']))"
    done = subprocess.run([*run, names], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
    assert (home / "credentials.json").read_bytes() == keys


def test_run_uses_the_server_that_runs(server, home):
    done = subprocess.run(
        [*CLARY, "run", sys.executable, "-c", WHO_AM_I], capture_output=True, text=True, check=True
    )
    assert done.stdout == "arn:aws:sts::123456789012:assumed-role/ClaryRole/owner\n"
    assert find(home).pid == server.pid


def test_run_starts_a_server_for_the_program_and_stops_it(home):
    done = subprocess.run(
        [*CLARY, "run", "--", sys.executable, "-c", f"{WHO_AM_I}; raise SystemExit(7)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.endswith("assumed-role/ClaryRole/owner\n")
    assert find(home) is None


def test_run_says_when_there_is_no_such_program(clary, home):
    said = clary("run", "--", "no-such-program")
    assert (said.code, said.err) == (1, "clary: no-such-program: no such program\n")
    assert not home.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_run(home, number):
    process = subprocess.Popen(
        [*CLARY, "run", sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "on\n"
    os.kill(process.pid, number)
    assert gone(home)
    process.communicate(timeout=60)


def test_run_ends_as_a_program_killed_by_a_signal(home):
    code = "import os; os.kill(os.getpid(), 9)"
    done = subprocess.run([*CLARY, "run", sys.executable, "-c", code], check=False)
    assert done.returncode == 137


def test_why_no_server_starts_is_said(home):
    home.mkdir()
    (home / "credentials.json").write_text("{}")
    done = subprocess.run(
        [*CLARY, "run", sys.executable, "-V"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no server starts" in done.stderr
    assert "credentials.json: holds no keys" in done.stderr
    assert "Traceback" not in done.stderr
