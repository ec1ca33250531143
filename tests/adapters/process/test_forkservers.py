"""Fork servers: what is killed, what changes, what packages may try, how many there are."""

import os
import signal
import sys
import time
import venv
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clary.adapters.process import ProcessRunner, forkservers, warmth
from clary.testing.job_runner import LONG_S, specify, texts, until

PROVED = "import sys; assert 'thing' in sys.modules\n"


@pytest.fixture
def place():
    """A folder that is not below /tmp, over which jobs have a folder of their own."""
    with TemporaryDirectory(dir="/var/tmp", prefix="clary-forkservers-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def environment(place):
    """An environment with a package of its own."""
    venv.create(place / "env", symlinks=True, with_pip=False)
    install(place / "env", "1", "")
    return place / "env"


@pytest.fixture
def runner(home):
    runner = new_runner(home)
    if "bubblewrap" not in runner.report()["sandbox"]:
        pytest.skip("this machine has no namespaces to test")
    yield runner
    runner.cool()


def new_runner(home, **more):
    root = home / "processes"
    return ProcessRunner(root, fork_servers=root / ".forkservers", **{"idle_s": 60} | more)


def install(environment, version, source):
    """Install version ``version`` of ``thing`` as package managers do."""
    packages = next((environment / "lib").glob("python3*/site-packages"))
    for old in packages.glob("thing-*.dist-info"):
        old.rmdir()
    (packages / "thing.py").write_text(f"version = {version!r}\n{source}")
    (packages / f"thing-{version}.dist-info").mkdir()


def thing(runner, prefix, name, code, tmp_path, **more):
    python = str(prefix / "bin" / "python")
    argv = [python, "-c", PROVED + code]
    more = {"preload": ("thing",), "readable": (prefix,)} | more
    return specify(runner, name, argv, tmp_path / f"{name}.log", **more)


def warmed(runner, spec):
    eventually(lambda: runner.warm(spec))
    return spec


def run(runner, spec):
    runner.start(spec)
    status = runner.wait(spec.id, LONG_S)
    return status, texts(spec.log)


def eventually(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def servers(home):
    root = home / "processes" / ".forkservers"
    return [path for path in root.iterdir() if not path.name.startswith(".")]


def test_an_environment_of_its_own(runner, environment, tmp_path):
    code = "import thing; print(thing.version, thing.__file__, sys.prefix, sys.executable)"
    status, lines = run(runner, warmed(runner, thing(runner, environment, "a", code, tmp_path)))
    assert status.exit_code == 0, lines
    file, prefix, python = lines[0].split()[1:]
    assert file.startswith(str(environment))
    assert (prefix, python) == (str(environment), str(environment / "bin/python"))


def test_what_is_installed_later_is_what_later_jobs_get(runner, home, environment, tmp_path):
    code = "import thing; print(thing.version)"
    for version in ("1", "2", "3"):
        install(environment, version, "")
        spec = thing(runner, environment, f"v{version}", code, tmp_path)
        assert run(runner, warmed(runner, spec))[1] == [version]
    assert len(servers(home)) == 3


def test_the_first_job_does_not_wait(runner, environment, tmp_path):
    install(environment, "1", "import time; time.sleep(600)")
    spec = thing(runner, environment, "first", "", tmp_path)
    spec = replace(spec, argv=[spec.argv[0], "-c", "print('ran')"])
    assert run(runner, spec)[1] == ["ran"]
    assert not runner.warm(spec)


@pytest.mark.parametrize("victim", ["job", "first process", "mold", "supervisor", "server"])
def test_whatever_is_killed_the_job_is_lost_or_has_ended(
    runner, home, environment, tmp_path, victim
):
    code = "print('ready', flush=True)\nimport time\ntime.sleep(600)"
    spec = warmed(runner, thing(runner, environment, "victim", code, tmp_path))
    runner.start(spec)
    until("ready", spec.log)
    pids = family(home, spec)
    assert len({*pids.values()}) == len(pids)
    os.kill(pids[victim], signal.SIGKILL)
    status = runner.wait(spec.id, LONG_S)
    if victim in ("job", "first process"):  # as when it kills itself
        assert (status.state, status.exit_code, status.ended_by) == ("exited", 137, "itself")
    else:
        assert status.state == "lost"
    eventually(lambda: not alive(pids["job"]))
    if victim in ("mold", "server"):
        eventually(lambda: not runner._servers.running())
    again = warmed(runner, thing(runner, environment, "again", "print('ran')", tmp_path))
    assert run(runner, again)[1] == ["ran"]


def family(home, spec):
    """Every process that a forked job hangs on, by its role."""
    root = home / "processes"
    server = servers(home)[0]
    supervisor = claimed(root / spec.id)
    held = [int(pid) for pid in waiting_for(supervisor)]
    mold = parent(held[1])
    return {
        "first process": held[0],
        "job": held[1],
        "mold": mold,
        "supervisor": supervisor,
        "server": claimed(server),
    }


def claimed(folder):
    return int((folder / "started.json").read_text().split(":")[1].split(",")[0])


def waiting_for(supervisor):
    """The processes that a supervisor has files for: the first of the namespaces, and the job."""
    found = []
    for path in sorted(Path(f"/proc/{supervisor}/fdinfo").iterdir(), key=lambda one: int(one.name)):
        found += [
            line.split()[1] for line in path.read_text().splitlines() if line.startswith("Pid:")
        ]
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_jobs_outlive_a_server_that_retires(runner, home, environment, tmp_path):
    code = """
import os, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
"""
    spec = warmed(runner, thing(runner, environment, "long", code, tmp_path))
    runner.start(spec)
    until("ready", spec.log)
    runner.cool()
    eventually(lambda: not runner._servers.is_ready(runner._find(spec)))
    assert runner.status("long").state == "running"
    (spec.ml / "go").touch()
    assert runner.wait("long", LONG_S).exit_code == 0
    eventually(lambda: not runner._servers.running())
    assert (
        run(
            runner,
            warmed(
                runner,
                replace(
                    spec, id="more", ml=runner.workspace("more"), argv=[spec.argv[0], "-c", PROVED]
                ),
            ),
        )[0].exit_code
        == 0
    )


def test_an_idle_server_ends(home, environment, tmp_path):
    runner = new_runner(home, idle_s=0.2)
    spec = thing(runner, environment, "idle", "", tmp_path)
    eventually(lambda: runner.warm(spec))
    eventually(lambda: not runner._servers.running())


def test_servers_are_few(runner, home, environment, tmp_path):
    for number in range(7):
        spec = thing(runner, environment, f"n{number}", "", tmp_path)
        warmed(runner, replace(spec, preload=("thing", f"absent{number}")))
    eventually(lambda: len(runner._servers.running()) <= forkservers._MOST)
    assert len(servers(home)) <= 7
    last = replace(spec, preload=("thing", "absent6"))
    assert runner.warm(last)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import threading, time; threading.Thread(target=time.sleep, args=[99]).start()",
            "thread",
        ),
        ("import os; os._exit(5)", ""),
        ("raise SystemExit(3)", ""),
    ],
)
def test_what_cannot_be_preloaded_is_run_without(runner, home, environment, tmp_path, source, said):
    install(environment, "1", source)
    spec = thing(runner, environment, "one", "", tmp_path)
    spec = replace(spec, argv=[spec.argv[0], "-c", "print('ran')"])
    assert not runner.warm(spec)
    eventually(lambda: not runner._servers.running())
    assert run(runner, spec)[1] == ["ran"]
    assert not runner._servers.running()  # it is not tried again at once
    assert said in (servers(home)[0] / "log").read_text()


def test_a_broken_package_is_left_out(runner, home, environment, tmp_path):
    install(environment, "1", "1/0")
    spec = thing(runner, environment, "one", "", tmp_path, preload=("thing", "absent", "wsgiref"))
    code = "import sys; print('wsgiref' in sys.modules, 'thing' in sys.modules)"
    spec = replace(spec, argv=[spec.argv[0], "-c", code])
    assert run(runner, warmed(runner, spec))[1] == ["True False"]
    assert "ZeroDivisionError" in (servers(home)[0] / "log").read_text()


HOSTILE = """
import ctypes, os, socket, sys
def attempt(what, *arguments):
    try:
        print("TRIED", what.__name__, arguments, "->", what(*arguments), file=sys.stderr)
    except OSError as error:
        print("TRIED", what.__name__, "->", type(error).__name__, file=sys.stderr)
libc = ctypes.CDLL(None, use_errno=True)
print("SEES", [int(name) for name in os.listdir("/proc") if name.isdigit()], file=sys.stderr)
attempt(os.listdir, HOME)
attempt(os.listdir, "/home")
attempt(open, "/etc/shadow")
attempt(os.setuid, 3_000_000)
attempt(os.chown, "/opt/ml/program", 3_000_000, 3_000_000)
attempt(os.listdir, "/proc/1/root/home")
attempt(os.mknod, "/opt/ml/device", 0o60600, os.makedev(8, 0))
print("REMOUNT", libc.mount(None, b"/usr", None, 4096 | 32, None), file=sys.stderr)
print("WRITE", os.access("/usr", os.W_OK), os.access(sys.prefix, os.W_OK), file=sys.stderr)
"""


def test_packages_gain_nothing_from_being_preloaded(runner, home, environment, tmp_path):
    source = HOSTILE.replace("HOME", repr(str(home)))
    install(environment, "1", source)
    spec = thing(runner, environment, "one", "", tmp_path)
    warmed(runner, spec)
    said = (servers(home)[0] / "log").read_text()
    tried = [line.split("TRIED ")[1] for line in said.splitlines() if "TRIED" in line]
    assert len(tried) == 7
    for line in tried:
        assert line.endswith("Error"), line
    assert "WRITE False False" in said
    pids = eval(said.split("SEES ")[1].split("\n")[0])
    assert set(pids) <= {1, 2}


def test_jobs_of_one_server_share_nothing(runner, environment, tmp_path):
    code = """
import os, thing
thing.left = "secret"
os.environ["LEFT"] = "secret"
for folder in ("/tmp", "/dev/shm", "/opt/ml"):
    open(f"{folder}/left", "w").write("secret")
print("ready", flush=True)
import time
time.sleep(600)
"""
    first = warmed(runner, thing(runner, environment, "first", code, tmp_path))
    runner.start(first)
    until("ready", first.log)
    look = """
import os, socket, thing
print(hasattr(thing, "left"), "LEFT" in os.environ, sorted(os.listdir("/tmp")),
      os.listdir("/dev/shm"), os.listdir("/opt/ml"), socket.gethostname(), os.getpid())
print([name for name in os.listdir("/proc") if name.isdigit()], os.environ.get("OWN"))
"""
    more = {"hostname": "algo-7", "environment": {"OWN": "mine"}}
    status, lines = run(runner, thing(runner, environment, "second", look, tmp_path, **more))
    assert status.exit_code == 0, lines
    assert lines == ["False False [] [] [] algo-7 2", "['1', '2'] mine"]
    if os.geteuid() == 0:
        uids = {runner.workspace(name).stat().st_uid for name in ("first", "second")}
        assert len(uids) == 2
        assert min(uids) >= forkservers._FIRST_BLOCK
    runner.discard("first")


def test_fingerprints_change_with_packages(environment):
    one = warmth.Environment(environment / "bin" / "python", ("thing",))
    before = one.fingerprint()
    assert one.fingerprint() == before
    assert replace(one, modules=("thing", "other")).fingerprint() != before
    install(environment, "2", "")
    assert one.fingerprint() != before


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ({}, True),
        ({"preload": ()}, False),
        ({"argv": ["python3", "run.py"]}, True),
        ({"argv": ["python3", "-O", "run.py"]}, False),
        ({"argv": ["/bin/sh", "-c", "true"]}, False),
        ({"argv": ["/usr/bin/python3", "run.py"]}, False),
        ({"argv": ["/nowhere/python3", "run.py"]}, False),
        ({"environment": {"OMP_NUM_THREADS": "1"}}, False),
        ({"environment": {"OMP_WAIT_POLICY": "PASSIVE", "LANG": "C.UTF-8"}}, True),
        ({"environment": {"LC_ALL": "de_DE"}}, False),
        ({"environment": {"LD_PRELOAD": "x.so"}}, False),
        ({"environment": {"PYTHONHASHSEED": "0"}}, False),
        ({"environment": {"PYTHONPATH": "/lib", "SM_X": "1", "AWS_REGION": "x"}}, True),
        ({"readable": [Path("/tmp/tools")]}, False),
        ({"readable": [Path("/srv")]}, True),
    ],
)
def test_which_processes_may_be_forked(runner, tmp_path, change, may):
    argv = [sys.executable, "-c", "pass"]
    path = {"PATH": str(Path(sys.executable).parent)}
    change = {**change, "environment": {**path, **change.get("environment", {})}}
    spec = specify(runner, "one", argv, tmp_path / "log", preload=("json",))
    spec = replace(spec, **change)
    shown = [Path(sys.prefix), *spec.readable]
    assert (warmth.environment(spec, shown) is not None) == may
