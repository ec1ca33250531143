"""What a hostile job tries, and that it gets nowhere. Run as root and as an ordinary user."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from clary.adapters.process import ProcessRunner, cgroups
from clary.jobs.trees import Tree
from clary.kernel.errors import InvalidInput
from clary.testing.job_runner import python, specify, texts, until

SYSCALL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
"""


def test_foreign_files_cannot_be_read(run, runner, home, monkeypatch):
    other = runner.workspace("other")
    (other / "data").write_text("another job's data")
    paths = [
        *(home, home / "keys", home / "processes", other / "data"),
        *(Path.home(), "/root", "/home", "/etc/shadow", "/etc/sudoers", "/etc/ssl/private"),
        *("/var", "/run", "/boot", "/sys", "/mnt", "/srv", Path(__file__), Path.cwd() / ".git"),
        *("/opt/ml/../../etc/shadow", "/proc/1/root/etc/shadow", "/proc/1/cwd/etc/shadow"),
    ]
    code = f"""
import os
for path in {[str(path) for path in paths]!r}:
    try:
        names = os.listdir(path) if os.path.isdir(path) else [open(path).read()]
    except OSError:
        continue
    print(path, names)
"""
    status, lines, _ = run(python(code))
    assert status.exit_code == 0
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    for line in lines:  # a parent folder of the interpreter shows the way to it, and nothing else
        path, _, names = line.partition(" ")
        shown = {prefix.relative_to(path).parts[0] for prefix in prefixes if under(prefix, path)}
        assert names == repr(sorted(shown)), line


def under(path, folder):
    return Path(folder) in path.parents


def test_the_root_holds_only_what_it_must(run):
    status, lines, _ = run(python("import os; print(sorted(os.listdir('/')))"))
    assert status.exit_code == 0
    tops = {path.parts[1] for path in (Path(sys.prefix), Path(sys.base_prefix))}
    system = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin"}
    assert set(json.loads(lines[0].replace("'", '"'))) <= system | {"tmp", "usr"} | tops


def test_only_its_own_directories_are_writable(run):
    code = f"""
import os
written = []
for top, folders, _ in os.walk("/"):
    if top.startswith(("/proc/", "/usr/", {sys.prefix!r}, {sys.base_prefix!r})):
        folders.clear()
    try:
        with open(os.path.join(top, "planted"), "w"):
            written.append(top)
    except OSError:
        pass
for path in ("/etc/passwd", "/etc/hosts", {sys.executable!r}, "/proc/sys/kernel/core_pattern",
             "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"):
    try:
        open(path, "r+").close()
        written.append(path)
    except OSError:
        pass
print(written)
"""
    status, lines, workspace = run(python(code))
    assert status.exit_code == 0
    # an interpreter below /tmp makes folders in the private /tmp, on the way to where it is bound
    written = {
        top for top in eval(lines[0]) if not sys.prefix.startswith(f"{top}/") or top == "/tmp"
    }
    assert written == {"/tmp", "/dev/shm", "/opt/ml"}
    assert (workspace / "planted").exists()


def test_every_mount_is_tame(run):
    _, lines, _ = run(python("print(open('/proc/self/mounts').read())"))
    writable = set()
    for line in filter(None, lines):
        _, point, kind, options, *_ = line.split()
        assert "nosuid" in options.split(","), line
        if "rw" in options.split(","):
            writable.add((point, kind))
    assert {point for point, kind in writable if kind not in {"proc", "devpts", "devtmpfs"}} == {
        *("/opt/ml", "/tmp", "/dev/shm")
    }


def test_no_rights(run):
    _, lines, _ = run(["/bin/cat", "/proc/self/status"])
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert all(int(status[f"Cap{kind}"], 16) == 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert status["Groups"].split() in ([], ["1000"], ["65534"])


def test_namespaces_are_its_own(run):
    kinds = ("user", "pid", "mnt", "ipc", "uts", "cgroup", "net")
    code = f"import os; print([os.readlink('/proc/self/ns/' + kind) for kind in {kinds}])"
    _, lines, _ = run(python(code), network=False)
    inside = eval(lines[0])
    for kind, namespace in zip(kinds, inside, strict=True):
        assert namespace != str(Path(f"/proc/self/ns/{kind}").readlink()), kind


def test_privileged_calls_are_refused(run):
    code = (
        SYSCALL
        + """
print({
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "bind": call("mount", b"/opt/ml", b"/tmp", None, 4096, None),
    "umount": call("umount2", b"/usr", 2),
    "remount": call("mount", None, b"/usr", None, 32 | 4096, None),
    "pivot": call("syscall", 155, b"/tmp", b"/tmp") if os.uname().machine == "x86_64" else "EPERM",
    "chroot": call("chroot", b"/tmp"),
    "user namespace": call("unshare", 0x10000000),
    "mount namespace": call("unshare", 0x00020000),
    "sethostname": call("sethostname", b"x", 1),
    "setuid": call("setuid", 0),
    "setgid": call("setgid", 0),
    "host uid": call("setresuid", 70000, 70000, 70000),
    "mknod": call("mknod", b"/tmp/disk", 0o60600, 259 << 8),
    "open_tree": call("syscall", 428, -100, b"/", 1),
    "io_uring": call("syscall", 425, 1, None),
    "keyctl": call("syscall", 250, 0, -3, 0) if os.uname().machine == "x86_64" else "EPERM",
})
for flags in (0x10000000, 0x10000000 | 0x00020000):
    print(call("syscall", 56, flags | 17, None, None, None, None)
          if os.uname().machine == "x86_64" else "EPERM")
"""
    )
    status, lines, _ = run(python(code))
    assert status.exit_code == 0
    refused = eval(lines[0])
    assert {name: result for name, result in refused.items() if result == "ok"} == {}
    assert lines[1:] == ["EPERM", "EPERM"]


def test_set_user_id_programs_give_nothing(run, runner, tmp_path):
    workspace = runner.workspace("one")
    planted = workspace / "planted"
    planted.write_bytes(Path("/usr/bin/id").read_bytes())
    planted.chmod(0o6755)
    _, lines, _ = run(["/bin/sh", "-c", "./planted -u; chmod 6755 planted; ./planted -u"])
    assert lines[0] == "1000"
    assert lines[-1] == "1000"


def test_host_processes_are_out_of_sight_and_reach(run):
    ours = [pid for pid in (os.getpid(), os.getppid()) if pid > 3]  # there is a 1 inside too
    code = f"""
import os, signal
seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
print(seen)
for pid in {ours!r}:
    try:
        os.kill(pid, 0)
        print("reached", pid)
    except (ProcessLookupError, PermissionError):
        pass
try:
    os.kill(-1, signal.SIGTERM)
except (ProcessLookupError, PermissionError):
    pass
for pid in seen:
    for name in ("environ", "cmdline"):
        try:
            print(open(f"/proc/{{pid}}/{{name}}").read())
        except OSError:
            pass
"""
    _, lines, _ = run(python(code), environment={"MINE": "1"})
    assert len(eval(lines[0])) <= 3
    assert not any(line.startswith("reached") for line in lines)
    text = "\n".join(lines[1:])
    assert "PYTEST_CURRENT_TEST" not in text
    assert "--bind" not in text


def test_inherited_files_lead_nowhere(run):
    code = """
import os, stat
for pid in ("self", "1"):
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        continue
    for number in numbers:
        try:
            mode = os.stat(f"{folder}/{number}").st_mode
            open(f"{folder}/{number}/../../../../../../etc/shadow")
            print("escaped")
        except OSError:
            pass
        else:
            continue
        try:
            target = os.readlink(f"{folder}/{number}")
            if stat.S_ISDIR(mode) and not target.startswith("/proc/"):
                print("folder", target)
            if stat.S_ISREG(mode) and ".so" not in target:
                print("file", target)
            if stat.S_ISSOCK(mode):
                print("socket", target)
        except OSError:
            pass
"""
    status, lines, _ = run(python(code))
    assert (status.exit_code, lines) == (0, [])


def test_no_network_when_isolated(run):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(f"\0clary-{os.getpid()}")
        local.listen()
        code = f"""
import socket
def reach(kind, address):
    try:
        with socket.socket(kind) as client:
            client.settimeout(5)
            client.connect(address)
        return True
    except OSError:
        return False
print(reach(socket.AF_INET, {server.getsockname()!r}), reach(socket.AF_INET, ("192.0.2.1", 9)),
      reach(socket.AF_UNIX, {local.getsockname()!r}))
with socket.create_server(("127.0.0.1", 0)) as own:
    print(reach(socket.AF_INET, own.getsockname()))
"""
        _, isolated, _ = run(python(code), "isolated", network=False)
        _, connected, _ = run(
            python(code.replace(', reach(socket.AF_INET, ("192.0.2.1", 9))', "")), "connected"
        )
    assert isolated == ["False False False", "True"]
    assert connected[0].startswith("True")


def test_a_process_cannot_reach_another(run, runner, tmp_path):
    log = tmp_path / "victim.log"
    script = "echo secret > /tmp/mine; echo secret > /dev/shm/mine; echo ready; sleep 60"
    runner.start(specify(runner, "victim", ["/bin/sh", "-c", script], log))
    until("ready", log)
    victim = runner.workspace("victim")
    code = f"""
import glob, os
print(os.path.exists("/tmp/mine"), os.listdir("/dev/shm"), os.path.exists({str(victim)!r}))
"""
    _, lines, mine = run(python(code), "attacker")
    assert lines == ["False [] False"]
    if os.geteuid() == 0:
        owners = {victim.stat().st_uid, mine.stat().st_uid}
        assert len(owners) == 2
        assert min(owners) >= 1_900_000_000
    assert runner.status("victim").state == "running"
    runner.discard("victim")


@pytest.mark.parametrize("target", ["/etc", "../../../keys", "/etc/passwd", "loop"])
def test_links_in_outputs_are_not_followed(run, home, target):
    _, _, workspace = run(["/bin/sh", "-c", f"mkdir output && ln -s {target} output/loop"])
    with pytest.raises(InvalidInput):
        Tree(workspace, "output").files()
    _, _, workspace = run(["/bin/ln", "-s", target, "output"], "two")
    with pytest.raises(InvalidInput):
        Tree(workspace, "output").files()


def test_devices_and_pipes_in_outputs_are_refused(run):
    _, _, workspace = run(["/bin/sh", "-c", "mkdir output; mkfifo output/pipe"])
    with pytest.raises(InvalidInput):
        Tree(workspace, "output").files()


def test_foreign_files_cannot_be_linked_into_outputs(run):
    code = f"""
import os
python = {sys.executable!r}
for path in ("/etc/passwd", "/usr/bin/id", python, os.path.realpath(python)):
    try:
        os.link(path, "/opt/ml/stolen", follow_symlinks=False)
        print("linked", path)
    except OSError:
        pass
"""
    status, lines, _ = run(python(code))
    assert (status.exit_code, lines) == (0, [])


def test_what_a_job_was_lent_stays_as_it_is(run, runner, tmp_path):
    lent = tmp_path / "object"
    lent.write_text("shared")
    lent.chmod(0o644)
    os.link(lent, runner.workspace("one") / "input")
    status, _, _ = run(["/bin/sh", "-c", "cat input && echo changed > input"])
    if os.geteuid() == 0:
        assert status.exit_code != 0
        assert lent.read_text() == "shared"
        assert lent.stat().st_uid == 0


def test_endless_output_is_bounded(home, tmp_path):
    runner = ProcessRunner(home / "processes", log_limit_bytes=100_000)
    log = tmp_path / "endless.log"
    command = ["/bin/sh", "-c", "yes | head -c 3000000; echo end"]
    runner.start(specify(runner, "endless", command, log))
    assert runner.wait("endless", 60).exit_code == 0
    assert log.stat().st_size < 101_000
    assert texts(log)[-1] == "clary: this log is full; what follows is not kept"


def test_fork_bombs_hit_a_limit(run, runner, monkeypatch):
    monkeypatch.setattr(cgroups, "PIDS_MAX", 64)
    code = """
import os, time
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except BlockingIOError:
    print(children < 64)
"""
    status, lines, _ = run(python(code), memory_bytes=1 << 30)
    assert (status.exit_code, lines) == (0, ["True"])


def test_limits(run):
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_NOFILE))"
    _, lines, _ = run(python(code))
    core, files = eval(lines[0].replace(") (", "), ("))
    assert core == (0, 0)
    assert files[1] <= 65_536
    _, lines, _ = run(["/bin/cat", "/proc/self/oom_score_adj"], "two")
    assert int(lines[0]) >= 500


def test_variables_cannot_reach_out_of_the_sandbox(run, runner):
    workspace = runner.workspace("one")
    (workspace / "evil.so").write_bytes(b"\x7fELF nonsense")
    status, lines, _ = run(
        ["/bin/sh", "-c", 'echo "$LD_LIBRARY_PATH" "$A"'],
        environment={"LD_LIBRARY_PATH": str(workspace), "A": "--bind\n/\n/", "PATH": "/usr/bin"},
    )
    assert status.exit_code == 0
    assert lines[0].startswith(str(workspace))


@pytest.mark.parametrize("readable", ["home", "above"])
def test_folders_that_hold_the_home_cannot_be_shown(runner, home, tmp_path, readable):
    path = {"home": home, "above": tmp_path}[readable]
    with pytest.raises(InvalidInput):
        runner.start(specify(runner, "one", ["/bin/true"], tmp_path / "log", readable=(path,)))
    assert runner.status("one") is None


def test_readable_folders_are_readable_only(run, tmp_path):
    tool = tmp_path / "tools"
    tool.mkdir()
    (tool / "program").write_text("print('ran')")
    code = f"exec(open({str(tool / 'program')!r}).read()); open({str(tool / 'x')!r}, 'w')"
    status, lines, _ = run(python(code), readable=(tool,))
    assert status.exit_code == 1
    assert "ran" in lines
    assert any("Read-only file system" in line for line in lines)
