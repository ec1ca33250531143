"""What a forked process of ``step_host`` does: the files, the environment and the script of a step.

Modules of the steps' code are compiled once, before the forks; all else is each process's own.
"""

from __future__ import annotations

import atexit
import builtins
import json
import os
import pickle
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
IS_ALONE = Path("/opt/ml") == BASE
"""Whether no other process sees its files; else it is no sandbox, and has no /tmp of its own."""
_VALUES = "clary_values"
"""The one module that all steps import which the Python API writes."""
Step = Mapping[str, Any]
"""What a packet says: ``number``, ``code``, ``files``, ``folders``, ``script``, ``words``, …"""


class Code(MetaPathFinder, InspectLoader):
    """The modules of the code that steps were sent, compiled once for all of them.

    Attributes
    ----------
    likely
        The code that the next step will have if it is like the last one.
    """

    def __init__(self) -> None:
        self._compiled: dict[str, dict[str, CodeType]] = {}
        self._used = ""
        self.likely = ""

    def install(self, name: str, files: Mapping[str, bytes]) -> bool:
        """Write and compile the files of a code; False when it is there."""
        if name in self._compiled:
            return False
        folder = f"{BASE}/code/{name}"
        write(folder, files)
        self._compiled[name] = made = {}
        for file, text in files.items():
            if file.endswith(".py"):
                with suppress(SyntaxError, ValueError):  # said again by the step itself
                    made[file] = compile(text, f"{folder}/{file}", "exec", dont_inherit=True)
        return True

    def rehearse(self) -> None:
        """Do ahead of need what most steps do; what is touched here is copied now."""
        json.loads(json.dumps({"text": [1, 2.5, None]}))
        pickle.loads(pickle.dumps({"text": (1, 2.5)}))
        if f"{_VALUES}.py" in self._compiled.get(self.likely, ()):
            self.use(self.likely)
            import_module(_VALUES)

    def use(self, name: str) -> None:
        """Let the modules of a code be imported."""
        if self._used != name:
            sys.modules.pop(_VALUES, None)
            sys.meta_path[:] = [self, *(one for one in sys.meta_path if one is not self)]
        self._used = name

    def main(self, file: str) -> CodeType:
        """Return a script, compiled now if it could not be before. Raises what that raises."""
        path = f"{BASE}/code/{self._used}/{file}"
        known = self._compiled[self._used].get(file)
        return known or compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - as Python calls it
        """Find a module that lies beside the script."""
        file = f"{name}.py"
        if path is not None or file not in self._compiled[self._used]:
            return None
        found = ModuleSpec(name, self, origin=f"{BASE}/code/{self._used}/{file}")
        found.has_location = True
        return found

    def get_code(self, fullname: str) -> CodeType:
        """Return a module's code; ``exec_module`` runs it."""
        return self._compiled[self._used][f"{fullname}.py"]

    def get_source(self, fullname: str) -> str:
        """Return a module's text."""
        return Path(f"{BASE}/code/{self._used}/{fullname}.py").read_text("utf-8")


CODE = Code()


def take_on(environment: Mapping[str, str]) -> None:
    """Make these the environment's variables; most of them are from step to step the same."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def write(folder: str, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        path = f"{folder}/{name}"
        os.makedirs(path.rpartition("/")[0], exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def make(folder: str, names: Sequence[str]) -> None:
    """Make a folder, and folders below it with those above them."""
    os.mkdir(folder)
    made = set()
    for name in names:
        above = name.split("/")
        for depth in range(1, len(above) + 1):
            path = "/".join(above[:depth])
            if path not in made:
                made.add(path)
                os.mkdir(f"{folder}/{path}")


def run(step: Step) -> int:
    """Run a step's script as Python runs one; returns the exit code."""
    folder, code = f"{BASE}/{step['number']}", f"{BASE}/code/{step['code']}"
    make(folder, step["folders"])
    write(folder, step["given"])
    take_on({**step["environment"], **places(folder)})
    os.chdir(f"{folder}/{step['cwd']}")
    time.tzset()
    tempfile.tempdir = None
    sys.argv = [f"{code}/{step['script']}", *step["words"]]
    added = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [code, *added, *sys.path[1:]]
    CODE.use(step["code"])
    return outcome(step["script"])


def places(folder: str) -> dict[str, str]:
    """Say where a step's own places are."""
    scratch = "/tmp"  # noqa: S108 - the sandbox's own
    if not IS_ALONE:
        scratch = f"{folder}/scratch"
        os.makedirs(scratch)
    return {"SAGEMAKER_BASE_DIR": folder, "HOME": scratch, "TMPDIR": scratch}


def outcome(script: str) -> int:
    """Run a script as the main module and end as the interpreter does."""
    main = ModuleType("__main__")
    main.__dict__.update(__file__=sys.argv[0], __builtins__=builtins)
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(CODE.main(script), main.__dict__)  # noqa: S102 - the step
    except SystemExit as end:
        code = exit_code(end.code)
    except BaseException:
        traceback.print_exc()
        code = 1
    for last in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            last()
        except BaseException:
            traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed or replaced by the step
            stream.flush()
    return code


def exit_code(given: object) -> int:
    """Say what an exit means."""
    if given is None:
        return 0
    if isinstance(given, int):
        return given & 0xFF
    sys.stderr.write(f"{given}\n")
    return 1
