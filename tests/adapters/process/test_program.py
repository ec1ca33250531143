"""A forked Python command does what an executed one does, to the letter."""

import secrets
import sys
import time
import zipfile

import pytest

from clary.adapters.process import ProcessRunner
from clary.testing.job_runner import LONG_S, specify, texts

PRELOAD = ("wsgiref", "json", "decimal", "multiprocessing.pool", "statistics")


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    root = tmp_path_factory.mktemp("home") / "processes"
    runner = ProcessRunner(root, fork_servers=root / ".forkservers", idle_s=60)
    if "bubblewrap" not in runner.report()["sandbox"]:
        pytest.skip("this machine has no namespaces to test")
    yield runner
    runner.cool()


@pytest.fixture
def both(runner, tmp_path):
    """Run a command executed and forked; returns what both did, which must be the same."""

    def run(words, preload, files, **more):
        name = secrets.token_hex(8)
        more["environment"] = {"LANG": "C.UTF-8", **more.get("environment", {})}
        log = tmp_path / name
        spec = specify(runner, name, words, log, preload=preload, **more)
        for path, text in files.items():
            (spec.ml / path).parent.mkdir(parents=True, exist_ok=True)
            (spec.ml / path).write_bytes(text.encode() if isinstance(text, str) else text)
        deadline = time.monotonic() + LONG_S
        while preload and not runner.warm(spec):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.start(spec)
        status = runner.wait(name, LONG_S)
        left = {
            str(path.relative_to(spec.ml)): path.read_bytes()
            for path in sorted(spec.ml.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        runner.discard(name)
        return status.exit_code, texts(log), left

    def both(*words, files=None, **more):
        executed = run([sys.executable, *words], (), files or {}, **more)
        forked = run([sys.executable, *words], PRELOAD, files or {}, **more)
        for one, other in zip(forked, executed, strict=True):
            assert one == other
        return forked

    return both


def test_it_is_forked_when_it_may_be(runner, tmp_path):
    for name, words, more in (
        ("code", ["-c", "import sys; sys.exit('wsgiref' in sys.modules)"], {}),
        ("late", ["-c", "import sys; sys.exit('wsgiref' in sys.modules)"], {"PYTHONHASHSEED": "1"}),
    ):
        argv = [sys.executable, *words]
        spec = specify(runner, name, argv, tmp_path / name, preload=("wsgiref",), environment=more)
        deadline = time.monotonic() + LONG_S
        while not runner.warm(spec) and not more:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.start(spec)
        assert runner.wait(name, LONG_S).exit_code == (0 if more else 1), name


PLACE = """
import os, sys
main = sys.modules["__main__"]
print(sys.argv, sys.orig_argv, sys.path, sys.executable, __name__, main is sys.modules[__name__])
print(sorted(set(vars(main)) - {"main", "sys", "os"}), vars(main).get("__file__"))
print(os.getcwd(), os.getpid(), sorted(os.environ), sys.flags)
print(sys.stdin, sys.stdout, sys.stderr, sys.stdout.line_buffering, sys.stderr.line_buffering)
print(os.umask(0), __doc__, __builtins__, __package__)
"""


def test_a_script_finds_itself_where_it_belongs(both):
    files = {"code/run.py": PLACE, "code/helper.py": "", "lib/x.py": ""}
    variables = {"PYTHONPATH": "/opt/ml/lib:/nowhere", "PYTHONUNBUFFERED": "1"}
    both("/opt/ml/code/run.py", "a", "--b=c", files=files, environment=variables)


def test_a_relative_script_and_no_buffers(both):
    both("-u", "code/run.py", files={"code/run.py": PLACE})


def test_a_module_and_code(both):
    both("-m", "pack.part", "word", files={"pack/__init__.py": "", "pack/part.py": PLACE})
    both("-c", PLACE, "word")


def test_a_package_as_a_program(both):
    assert both("-m", "pack", files={"pack/__main__.py": "print(__file__)"})[0] == 0


@pytest.mark.parametrize(
    "ending",
    [
        *("pass", "import sys; sys.exit()", "import sys; sys.exit(3)", "import sys; sys.exit(-1)"),
        *("import sys; sys.exit('said')", "raise SystemExit(2**40)", "import os; os._exit(9)"),
        *("1/0", "raise KeyboardInterrupt", "import os; os.kill(os.getpid(), 15)", "x ="),
        *("import sys; sys.excepthook = lambda *a: print(a[0]); 1/0", "raise SystemExit([1, 2])"),
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None",
    ],
)
def test_every_ending(both, ending):
    both("-c", f"print('begun')\n{ending}")
    both("run.py", files={"run.py": f"def f():\n    {ending}\nprint('begun')\nf()\n"})


def test_what_the_end_must_do(both):
    code = """
import atexit, sys, threading, time
from pathlib import Path
import part
def say(word):
    print(word)
class Last:
    def __del__(self):
        say("deleted")
last = Last()
left_open = open("left", "w")
left_open.write("kept")
part.left_open.write("kept too")
atexit.register(print, "exit handler")
threading.Thread(target=lambda: (time.sleep(0.05), print("thread ended"))).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("main ended")
"""
    files = {"run.py": code, "part.py": "left_open = open('left too', 'w')"}
    code, lines, left = both("run.py", files=files)
    assert code == 0
    assert lines == ["main ended", "thread ended", "exit handler", "deleted"]
    assert (left["left"], left["left too"]) == (b"kept", b"kept too")


def test_tracebacks_show_the_program_only(both):
    files = {"run.py": "import other\nother.fail()\n", "other.py": "def fail():\n    {}['x']\n"}
    _, lines, _ = both("run.py", files=files)
    assert "forkserver" not in "\n".join(lines)
    both("run.py", files={"run.py": "import absent"})
    both("-m", "absent")
    both("/opt/ml/absent.py")


def test_source_of_any_encoding(both):
    both("run.py", files={"run.py": "# coding: latin-1\nprint('\xe4')\n".encode("latin-1")})
    both("run.py", files={"run.py": b"print('\xff')\n"})
    both("run.py", files={"run.py": b"\xef\xbb\xbfprint(1)\r\nprint(2)\r\n"})


def test_what_lies_beside_it_hides_what_is_preloaded(both):
    files = {"run.py": "import json, decimal; print(json.mine)", "json.py": "mine = 'mine'"}
    assert both("run.py", files=files)[1] == ["mine"]
    path = {"PYTHONPATH": "/opt/ml/lib"}
    files = {"run.py": "import statistics; print(statistics.mine)"}
    files["lib/statistics/__init__.py"] = "mine = 'mine'"
    assert both("run.py", files=files, environment=path)[1] == ["mine"]
    files = {"run.py": "print('run')", "lib/sitecustomize.py": "print('customized')"}
    assert both("run.py", files=files, environment=path)[1] == ["customized", "run"]


def test_folders_and_archives_are_programs(both, tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "print(__name__, __file__)")
    archive = (tmp_path / "app.zip").read_bytes()
    assert both("app.zip", files={"app.zip": archive})[0] == 0
    assert both("app", files={"app/__main__.py": "print(__name__)"})[0] == 0


def test_processes_of_its_own(both):
    code = """
import multiprocessing, pickle, subprocess, sys
def double(number):
    return 2 * number
class Thing:
    pass
if __name__ == "__main__":
    for how in ("fork", "spawn"):
        with multiprocessing.get_context(how).Pool(2) as pool:
            print(pool.map(double, range(5)))
    print(type(pickle.loads(pickle.dumps(Thing()))).__module__)
    print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout)
"""
    status, lines, _ = both("run.py", files={"run.py": code})
    assert (status, lines[:2]) == (0, ["[0, 2, 4, 6, 8]"] * 2)


def test_time_zone_and_input(both):
    code = "import sys, time; print(time.localtime(0).tm_hour, repr(sys.stdin.read()))"
    assert both("-c", code, environment={"TZ": "UTC+5"})[1] == ["19 ''"]


def test_randomness_is_everyones_own(runner, tmp_path):
    drawn = set()
    code = "import random, tempfile, uuid; print(random.random(), tempfile.mkdtemp(), uuid.uuid4())"
    for number in range(3):
        argv = [sys.executable, "-c", code]
        spec = specify(runner, f"draw-{number}", argv, tmp_path / f"{number}", preload=PRELOAD)
        runner.start(spec)
        assert runner.wait(spec.id, LONG_S).exit_code == 0
        drawn.update(texts(spec.log)[0].split())
    assert len(drawn) == 9
