"""A function as the files of a job: pickled by value, with the program that calls it."""

from __future__ import annotations

import hashlib
import io
import site
import sys
import sysconfig
import types
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parents[1]
_EXAMPLES = _PACKAGE / "examples"
"""They are installed with clary, but run as the user's own."""
_FILES = {"run.py": "program.py", "clary_values.py": "values.py"}
_MOST_BYTES = 100 << 20
_OURS = ("clary", "duckdb", "sqlglot")
"""What a function that uses clary computes with: a flow gives other rows by another version."""


@dataclass(frozen=True, slots=True)
class Package:
    """A function's files by name, their digest, and the versions of the libraries it uses."""

    files: Mapping[str, bytes]
    digest: str
    libraries: Mapping[str, str]


def pack(function: Callable[..., Any], place: str) -> Package:
    """Make the files that run a function anywhere.

    The function and all it uses of modules that are not installed travel by value; its
    annotations stay behind.

    Raises
    ------
    InvalidInput
        Something it uses cannot be pickled; names ``place`` and, where it can be told, what it is.
    """
    pickled, libraries = _pickled(function, place)
    files = {**_program(), "function.pkl": pickled}
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return Package(files, digest.hexdigest(), libraries)


def dumps(value: Any) -> bytes:
    """Pickle a value, what it needs of the user's own modules by value."""
    return _dumped(value)[0]


def _dumped(value: Any) -> tuple[bytes, dict[str, str]]:
    """Pickle a value; with the versions of the libraries that it names."""
    mine = list(_own_modules())
    for module in mine:
        cloudpickle.register_pickle_by_value(module)
    try:
        with io.BytesIO() as file:
            pickler = _Pickler(file)
            pickler.dump(value)
            return file.getvalue(), pickler.versions()
    finally:
        for module in mine:
            cloudpickle.unregister_pickle_by_value(module)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # has no types
    """Sorts sets, whose order is another in every process, so that equal functions are equal."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._packages: set[str] = set()

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that were named and say theirs."""
        found = {
            one: getattr(sys.modules.get(one), "__version__", None)
            for one in self._packages - {"cloudpickle"}
        }
        if "clary" in self._packages:
            found |= {one: _version(one) for one in _OURS}
        return {one: str(version) for one, version in sorted(found.items()) if version}

    def persistent_id(self, obj: Any) -> Any:
        """Give the items of a set of texts or numbers in order."""
        if isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType):
            self._packages.add(str(obj.__module__).partition(".")[0])
        elif isinstance(obj, types.ModuleType):
            self._packages.add(obj.__name__.partition(".")[0])
        if type(obj) not in (set, frozenset) or len({type(one) for one in obj}) != 1:
            return None
        try:
            return type(obj).__name__, sorted(obj)
        except TypeError:
            return None


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _program() -> Mapping[str, bytes]:
    return {name: (_HERE / source).read_bytes() for name, source in _FILES.items()}


def _pickled(function: Callable[..., Any], place: str) -> tuple[bytes, dict[str, str]]:
    try:
        data, libraries = _dumped(_bare(function))
    except Exception as error:  # reducers raise anything
        what = _culprit(function)
        raise InvalidInput(
            place,
            f"its function cannot be pickled: {what or error}",
            hint="make it inside the function, or pass it as an argument",
        ) from None
    if len(data) > _MOST_BYTES:
        raise InvalidInput(
            place,
            f"its function takes {len(data)} bytes, with all that it uses",
            legal=f"at most {_MOST_BYTES}; pass data as arguments",
        )
    return data, libraries


def _bare(function: Callable[..., Any]) -> Callable[..., Any]:
    """Copy a function without its annotations, which only its definition needs."""
    if not isinstance(function, types.FunctionType):
        return function
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    return copy


def _culprit(function: Callable[..., Any]) -> str:
    """Name the global or closed-over value that cannot be pickled."""
    used = getattr(function, "__globals__", {})
    code = getattr(function, "__code__", None)
    names = code.co_names if code else ()
    cells = zip(
        code.co_freevars if code else (), getattr(function, "__closure__", None) or (), strict=False
    )
    found = {name: used[name] for name in names if name in used}
    found |= {name: cell.cell_contents for name, cell in cells}
    for name, value in found.items():
        try:
            dumps(value)
        except Exception as error:  # reducers raise anything
            return f"{name}: {error}"
    return ""


def _own_modules() -> Iterator[types.ModuleType]:
    """Yield the loaded modules that no environment has: the user's scripts and packages."""
    for name, module in list(sys.modules.items()):
        facts = vars(module) if isinstance(module, types.ModuleType) else {}
        file = facts.get("__file__")
        if file and name != "__main__" and _is_own(file) and facts.get("__name__") == name:
            yield module


@cache
def _is_own(file: str) -> bool:
    path = Path(file)
    if path.is_relative_to(_EXAMPLES):
        return True
    return not any(path.is_relative_to(folder) for folder in _installed())


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    known = sysconfig.get_paths()
    paths = [known[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return (_PACKAGE, *(Path(path) for path in (*paths, *site.getsitepackages())))
