"""Runs a Python command in a process that has modules loaded already, as its interpreter would.

Where that cannot be the same, the interpreter itself is executed: a module beside the script that
hides a preloaded one, a folder or an archive as the program.
"""

from __future__ import annotations

import atexit
import builtins
import ctypes
import gc
import io
import os
import random
import runpy
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
import weakref
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MISSING, _BROKEN_PIPE = 2, 120
_FILE_INPUT = 257  # Py_file_input
_libc = ctypes.CDLL(None)
_libc.fopen.restype = ctypes.c_void_p
_run_file = ctypes.pythonapi.PyRun_FileExFlags  # its errors are the interpreter's, to the letter
_run_file.restype = ctypes.py_object
_run_file.argtypes = (
    *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object),
    *(ctypes.c_int, ctypes.c_void_p),
)
_WRITERS = (io.TextIOWrapper, io.BufferedWriter)
FORKED = "_clary_forked"
"""The name of this module to the programs that it runs."""
_self = sys.modules[__name__]
_settled: dict[str, Any] = {}
_STREAMS = ("stdin", "stdout", "stderr")
_MOST_FILES = 1 << 20
_write = ctypes.PyDLL(None).write  # keeps the interpreter's lock: no other thread goes on
_CUSTOM = frozenset({"sitecustomize", "usercustomize"})


@dataclass(frozen=True)
class Command:
    """A command of a Python interpreter: what it runs, with which arguments."""

    kind: Literal["script", "module", "code"]
    what: str
    arguments: tuple[str, ...]
    is_unbuffered: bool


def parse(argv: Sequence[str]) -> Command | None:
    """Read ``python [-u] (script | -m module | -c code) …``; None for anything else.

    Examples
    --------
    >>> parse(["python3", "-u", "-m", "pip", "list"])
    Command(kind='module', what='pip', arguments=('list',), is_unbuffered=True)
    >>> parse(["python3", "-O", "script.py"])
    """
    words = list(argv[1:])
    is_unbuffered = words[:1] == ["-u"]
    words = words[is_unbuffered:]
    if words[:1] in (["-m"], ["-c"]) and len(words) > 1:
        kind: Literal["module", "code"] = "module" if words[0] == "-m" else "code"
        return Command(kind, words[1], tuple(words[2:]), is_unbuffered)
    if words and words[0] and not words[0].startswith("-"):
        return Command("script", words[0], tuple(words[1:]), is_unbuffered)
    return None


def rehearse() -> None:
    """Do ahead of need what every process must do for itself; what is touched here is copied now.

    Random numbers begin anew, those of other modules begin anew by themselves.
    """
    random.seed()
    tempfile._name_sequence = None  # type: ignore[attr-defined]  # made by process id
    tempfile.tempdir = None
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()
    for number, name in enumerate(_STREAMS):
        _text(number, name, is_unbuffered=False)
    exec(compile("pass", "<string>", "exec"), types.ModuleType("rehearsal").__dict__)  # noqa: S102
    list(_modules_in("/"))
    gc.collect()


def execute_again(argv: Sequence[str], cwd: str) -> NoReturn:
    """Run another command, in a process that the one that runs has forked for it."""
    for _ in _forget_modules():
        pass
    execute(argv, dict(os.environ), cwd)


def execute(
    argv: Sequence[str], environment: Mapping[str, str], cwd: str, farewell: int = -1
) -> NoReturn:
    """Run a command that ``parse`` understands to its end, and end with it.

    ``farewell`` is a pipe that hears when all is well and done: freeing many pages takes a process
    longer than the rest.
    """
    code = 126
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(cwd)
        code = _run(argv)
        if code == 0 and farewell >= 0:
            os.closerange(3, farewell)
            os.closerange(farewell + 1, _MOST_FILES)
            _write(farewell, b"0", 1)
    except BaseException as error:
        os.write(2, f"clary: cannot start: {error}\n".encode("utf-8", "replace"))
    os._exit(code)


def _run(argv: Sequence[str]) -> int:
    command = parse(argv)
    first = "" if command is None else _first_path(command)
    added = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if command is None or _is_special(command) or _hides_one((first, *added)):
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; exec would keep it
            signal.signal(number, signal.SIG_DFL)
        os.execv(argv[0], list(argv))
    _refresh(argv, command, [first, *added])
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules.pop("__main__", None)
    sys.modules["__main__"] = main  # and after it, what the program imports
    del main
    return _finish(_outcome(command))


def _first_path(command: Command) -> str:
    """Say what the interpreter puts first on the module search path."""
    if command.kind == "script":
        return os.path.dirname(os.path.realpath(command.what))
    return os.getcwd() if command.kind == "module" else ""


def _is_special(command: Command) -> bool:
    """Say whether a script is more than a file of Python source: a folder, an archive, bytecode."""
    if command.kind != "script":
        return False
    try:
        with open(command.what, "rb") as file:
            start = file.read(4)
    except OSError:
        return True  # the interpreter says it best
    return start.startswith(b"PK") or start[2:] == b"\r\n"


def settle() -> None:
    """Remember what is loaded: once, because touching every name later would copy their memory."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "clary"]:
        del sys.modules[name]  # a job that imports clary gets it whole
    sys.path[:] = [path for path in sys.path if path]  # `-c` put the working directory there
    tops = frozenset({name.partition(".")[0] for name in sys.modules}) - {"__main__"}
    _settled.update(names=tops | _CUSTOM, path=tuple(sys.path))
    sys.modules[FORKED] = _self


def _hides_one(folders: Sequence[str]) -> bool:
    """Say whether a module there would have been imported instead of a loaded one."""
    names = _settled["names"]
    return any(name in names for folder in folders for name in _modules_in(folder))


def _modules_in(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                name, dot, suffix = entry.name.partition(".")
                if not dot:
                    if os.path.exists(os.path.join(entry.path, "__init__.py")):
                        yield name
                elif suffix in {"py", "pyc"} or suffix.endswith("so"):
                    yield name
    except OSError:
        return


def _refresh(argv: Sequence[str], command: Command, paths: list[str]) -> None:
    """Set anew what an interpreter sets when it starts, and what must differ in each process."""
    named = {"module": "-m", "code": "-c"}.get(command.kind, command.what)
    sys.argv = [named, *command.arguments]
    sys.orig_argv = list(argv)
    sys.executable = argv[0]
    sys.path[:] = [*paths, *_settled["path"]]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    is_unbuffered = command.is_unbuffered or bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(_STREAMS):
        stream = _text(number, name, is_unbuffered=number > 0 and is_unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    time.tzset()


def _text(number: int, name: str, *, is_unbuffered: bool) -> io.TextIOWrapper:
    """Make a standard stream the way the interpreter makes it."""
    old: Any = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number]
    mode = "w" if number else "r"
    raw: Any = io.FileIO(number, mode, closefd=False)
    raw.name = f"<{name}>"
    if not is_unbuffered:
        raw = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
    stream: Any = io.TextIOWrapper(
        raw,
        encoding=old.encoding,
        errors=old.errors,
        newline="\n" if number else None,
        line_buffering=number == 2 and not is_unbuffered,
        write_through=is_unbuffered,
    )
    stream.mode = mode
    return stream  # type: ignore[no-any-return]  # Any, because its type says mode is fixed


def _interpret(command: Command, main: dict[str, Any]) -> None:
    if command.kind == "module":
        runpy._run_module_as_main(command.what)  # type: ignore[attr-defined]  # what `-m` calls
        return
    if command.kind == "code":
        exec(compile(command.what, "<string>", "exec", dont_inherit=True), main)  # noqa: S102 - the job
        return
    name = os.path.abspath(command.what)
    loader = SourceFileLoader("__main__", name)
    main.update(__file__=name, __cached__=None, __loader__=loader)
    stream = _libc.fopen(os.fsencode(name), b"rb")
    names = ctypes.py_object(main)
    try:
        _run_file(stream, os.fsencode(name), _FILE_INPUT, names, names, 1, None)
    finally:
        _flush()  # as the interpreter does after a script, and only then


def _outcome(command: Command) -> int:
    """Run it; returns the exit code, having said what an uncaught exception says."""
    try:
        _interpret(command, sys.modules["__main__"].__dict__)
    except SystemExit as end:
        return _exit_code(end.code)
    except BaseException as error:
        kept = error.__traceback__
        while kept is not None and kept.tb_frame.f_code.co_filename == __name__:
            kept = kept.tb_next
        sys.excepthook(type(error), error.with_traceback(kept), kept)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_code(given: object) -> int:
    if given is None:
        return 0
    if isinstance(given, int):
        return given & 0xFF
    print(given, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _finish(code: int) -> int:
    """End as the interpreter does: threads, exit handlers, the program's own objects, streams."""
    for end in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            end()
        except BaseException:
            traceback.print_exc()
    _flush_files()
    modules = list(_forget_modules())
    gc.collect()
    for reference in modules:
        if (module := reference()) is not None:
            _clear(module)
    gc.collect()
    return code if _flush() else code or _BROKEN_PIPE


def _flush_files() -> None:
    """Write what files that were left open hold back; garbage in cycles would lose it."""
    found = [one for one in gc.get_objects() if issubclass(type(one), _WRITERS)]
    for one in sorted(found, key=lambda file: isinstance(file, io.BufferedWriter)):
        with suppress(OSError, ValueError):  # closed, or the disk is full: nobody hears of it then
            one.flush()


def _forget_modules() -> Iterator[weakref.ref[types.ModuleType]]:
    """Let go of what was imported since the fork, the program included."""
    name = ""
    while name != "__main__":
        name, module = sys.modules.popitem()  # the last first; a list would touch all of them
        if isinstance(module, types.ModuleType):
            yield weakref.ref(module)


def _flush() -> bool:
    """Flush the standard streams, those that were replaced, too; False when that failed."""
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    try:
        for stream in streams:
            if stream is not None and not stream.closed:
                stream.flush()
    except OSError:
        return False
    return True


def _clear(module: types.ModuleType) -> None:
    """Let go of a module's objects, those with a leading underscore first."""
    for is_private in (True, False):
        for name in list(module.__dict__):
            if name != "__builtins__" and name.startswith("_") == is_private:
                module.__dict__[name] = None
