"""What a model artifact would import, call and read if it were loaded; nothing of it is loaded.

Archives are looked through, files are told by their content. Everything is bounded: what is too
large, too deep or cut off is a problem of the report, never silence.
"""

from __future__ import annotations

import ast
import bz2
import contextlib
import gzip
import lzma
import mmap
import re
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput
from clary.models import onnx_files, opcodes
from clary.models.verdicts import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_BYTES = 8 << 30
"""Of all that is unpacked for one report."""
MOST_FILES = 10_000
MOST_OPCODES = 100_000_000
"""Of all pickles of one report: a few minutes."""
_MORE = f"there is more than is looked at: {MOST_FILES} files, {MOST_OPCODES} opcodes"
_DEEPEST = 5
_CHUNK = 1 << 20
_IN_MEMORY = 32 << 20
_LONGEST_DOCUMENT = 64 << 20
_PICKLES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".sav", ".p"}
_CODE = {".py", ".pyc", ".so", ".sh", ".pyd", ".dll"}
_LOADER_MODULE = re.compile(r"^\s*loader_module:\s*([\w.]+)\s*$", re.MULTILINE)
_NAMES = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_UNREADABLE = (
    *(OSError, EOFError, ValueError, InvalidInput, SyntaxError, RecursionError, MemoryError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError),
    *(RuntimeError, KeyError),
)
"""What the readers of archives raise at hostile bytes."""


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that loading a file brings in.

    Parameters
    ----------
    file
        Its path; inside archives behind a ``!``.
    what
        ``module.name``, or what else is named: an operator, a file, code.
    verdict, why
        What is known of it.
    called
        Whether it is called, and not only imported or read.
    """

    file: str
    what: str
    verdict: Verdict
    why: str = ""
    called: bool = True


@dataclass(slots=True)
class Report:
    """What was looked at (format by path), what it brings in, and what could not be read."""

    files: dict[str, str] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Literal["clean", "dangerous", "unreadable"]:
        """Dangerous before unreadable; what is only unknown counts as clean."""
        if any(use.verdict == "dangerous" for use in self.uses):
            return "dangerous"
        return "unreadable" if self.problems else "clean"


class _TooMuch(Exception):
    """A bound was reached."""


class Scan:
    """Looks at files, one after the other; ``report`` grows."""

    def __init__(self) -> None:
        self.report = Report()
        self._unpacked = 0
        self._opcodes = 0

    def look(self, path: str, file: BinaryIO, *, depth: int = 0) -> None:
        """Look at one file, and at what is in it; ``file`` can seek and stands at its start."""
        if self._is_full():
            return
        try:
            _bounded(depth, _DEEPEST, "archives nest deeper than {} levels")
            self._told(path, file, depth)
        except _TooMuch as error:
            self.report.problems[path] = str(error)
        except _UNREADABLE as error:
            self.report.problems[path] = f"cannot be read: {error or type(error).__name__}"

    def _is_full(self) -> bool:
        """Say whether a bound ends the scan, and tell so."""
        full = len(self.report.files) >= MOST_FILES or self._opcodes > MOST_OPCODES
        if full:
            self.report.problems["…"] = _MORE
        return full

    def _told(self, path: str, file: BinaryIO, depth: int) -> None:
        """Tell a file by its content, else by its name."""
        head = file.read(512)
        file.seek(0)
        if opened := _opened(head, file):
            inner = self._kept(_pieces(opened))
            self.report.files[path] = "compressed"
            with inner:
                self.look(f"{path}!", inner, depth=depth + 1)
            return
        for told, look in _KINDS:
            if told(head, PurePosixPath(path.rstrip("!")), file):
                file.seek(0)
                look(self, path, file, depth)
                break
        if self.report.files.get(path) != "pickle":
            file.seek(0)
            self._hidden(path, file)

    def tar(self, path: str, file: BinaryIO, depth: int) -> None:
        """Look at every file of a tar archive."""
        self.report.files[path] = "tar"
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if self._is_full():
                    break
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    with self._kept(_pieces(content)) as inner:
                        self.look(_inside(path, member.name), inner, depth=depth + 1)

    def zip(self, path: str, file: BinaryIO, depth: int) -> None:
        """Look at every file of a zip archive: NumPy's, PyTorch's, skops's are some."""
        self.report.files[path] = "zip"
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if self._is_full():
                    break
                if member.is_dir():
                    continue
                with archive.open(member) as content, self._kept(_pieces(content)) as inner:
                    self.look(_inside(path, member.filename), inner, depth=depth + 1)

    def array(self, path: str, file: BinaryIO, _: int) -> None:
        """Read the head of a NumPy file: an array of objects is a pickle behind it."""
        self.report.files[path] = "NumPy"
        version = int.from_bytes(file.read(8)[6:7], "little")
        width = 2 if version == 1 else 4
        size = int.from_bytes(file.read(width), "little")
        _bounded(size, _CHUNK, "its head is larger than {} bytes")
        head = ast.literal_eval(file.read(size).decode("latin-1" if version < 3 else "utf-8"))
        if not isinstance(head, dict):
            raise ValueError("its head is no dictionary")  # noqa: TRY004 - the file's fault
        if "O" in str(head.get("descr")):
            self.pickle(path, file, 0)

    def pickle(self, path: str, file: BinaryIO, _: int) -> None:
        """Follow the opcodes of a pickle."""
        self.report.files.setdefault(path, "pickle")
        found = self._walked(file)
        for (module, name), called in found.globals.items():
            self._use(path, module, name, called=called)
        if found.problem:
            self.report.problems[path] = f"not a whole pickle: {found.problem}"

    def _walked(self, file: BinaryIO) -> opcodes.Walk:
        found = opcodes.walk(file)
        self._opcodes += found.opcodes
        return found

    def _hidden(self, path: str, file: BinaryIO) -> None:
        """Find a pickle in what is also a file of another kind, or of none that is known.

        Whatever else the bytes may be: it is one where it ends as one and imports something, and
        where it would have imported something dangerous before it fails.
        """
        found = self._walked(file)
        names = [
            (module, name, called)
            for (module, name), called in found.globals.items()
            if _NAMES.fullmatch(module) and (found.pickles or judge(module, name)[0] != "unknown")
        ]
        kind = self.report.files.get(path, "pickle" if names else "data")
        self.report.files[path] = f"{kind} and pickle" if names and kind != "pickle" else kind
        for module, name, called in names:
            self._use(path, module, name, called=called)

    def onnx(self, path: str, file: BinaryIO, _: int) -> None:
        """Look for external data and operators that are none of ONNX's."""
        self.report.files[path] = "ONNX"
        file.seek(0, 2)
        with self._kept(_from_start(file)) as whole:
            whole.flush()
            found = onnx_files.read(
                memoryview(mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ))
            )
        for operator in sorted(found.operators):
            why = "an operator that some library must be loaded for"
            self.report.uses.append(Use(path, operator, "unknown", why))
        for location in sorted(found.locations):
            place = PurePosixPath(location.replace("\\", "/"))
            leaves = place.is_absolute() or ".." in place.parts or ":" in location
            verdict: Verdict = "dangerous" if leaves else "unknown"
            why = "reads a file outside of the model" if leaves else "weights in another file"
            self.report.uses.append(
                Use(path, f"external data {location}", verdict, why, called=False)
            )

    def skops(self, path: str, file: BinaryIO, _: int) -> None:
        """List the types of a skops schema, which skops asks about before it loads them."""
        self.report.files[path] = "skops"
        waiting: list[Any] = [from_json(_document(file))]
        seen: set[tuple[str, str]] = set()
        while waiting:
            one = waiting.pop()
            waiting += one.values() if isinstance(one, dict) else one
            if isinstance(one, dict):
                seen |= _named(one)
            waiting = [inner for inner in waiting if isinstance(inner, dict | list)]
        for module, name in sorted(seen):
            self._use(path, module, name, called=True)

    def mlmodel(self, path: str, file: BinaryIO, _: int) -> None:
        """Name the module that MLflow loads a model with."""
        self.report.files[path] = "MLmodel"
        for module in sorted(set(_LOADER_MODULE.findall(_document(file).decode("utf-8")))):
            known = module.startswith("mlflow.")
            why = "" if known else "MLflow imports it to load the model"
            verdict: Verdict = "safe" if known else "unknown"
            self.report.uses.append(Use(path, module, verdict, why))

    def code(self, path: str, _: BinaryIO, __: int) -> None:
        """Say that there is code; what it does is not looked at."""
        self.report.files[path] = "code"
        name = PurePosixPath(path).name
        self.report.uses.append(Use(path, name, "unknown", "code: read what it does"))

    def hdf5(self, path: str, _: BinaryIO, __: int) -> None:
        """Say that a Keras file is not looked into."""
        self.report.files[path] = "HDF5"
        why = "not looked into; layers of Keras may hold code"
        self.report.uses.append(Use(path, "HDF5", "unknown", why, called=False))

    def harmless(self, path: str, file: BinaryIO, _: int) -> None:
        """Name a format that imports nothing."""
        self.report.files[path] = _harmless(file.read(512), PurePosixPath(path)) or "data"

    def _use(self, path: str, module: str, name: str, *, called: bool) -> None:
        verdict, why = judge(module, name)
        self.report.uses.append(Use(path, f"{module}.{name}", verdict, why, called))

    def _kept(self, pieces: Iterable[bytes]) -> Any:
        """Keep bytes of an archive where they can be sought through, within the bounds."""
        with contextlib.ExitStack() as until_kept:
            kept = until_kept.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))
            for piece in pieces:
                self._unpacked += len(piece)
                _bounded(self._unpacked, MOST_BYTES, "unpacked it is larger than {} bytes")
                kept.write(piece)
            kept.seek(0)
            until_kept.pop_all()
            return kept


def _bounded(value: int, most: int, problem: str) -> None:
    if value > most:
        raise _TooMuch(problem.format(most))


def _opened(head: bytes, file: BinaryIO) -> Any:
    """Open a compressed file; None when it is none."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith((b"\xfd7zXZ\0", b"]\0\0")):
        return lzma.LZMAFile(file)
    if head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
        return _Inflated(file)
    return None


class _Inflated:
    """A zlib stream, as joblib writes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Return some bytes; none at the end. Raises EOFError where it is cut off."""
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(_CHUNK)
            if not data:
                raise EOFError("the zlib stream is cut off")
            if found := self._inflate.decompress(data, size):
                return found
        return b""


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece


def _from_start(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return _pieces(file)


def _document(file: BinaryIO) -> bytes:
    data = file.read(_LONGEST_DOCUMENT + 1)
    _bounded(len(data), _LONGEST_DOCUMENT, "it is larger than {} bytes")
    return data


def _inside(path: str, name: str) -> str:
    return f"{path.rstrip('!')}!{name.removeprefix('./')}"


def _named(node: dict[str, Any]) -> set[tuple[str, str]]:
    """Name the types and functions of one node of a skops schema."""
    pairs = (("__module__", "__class__"), ("module_path", "function"))
    found = {(node.get(module), node.get(name)) for module, name in pairs}
    return {(m, n) for m, n in found if isinstance(m, str) and isinstance(n, str)}


def _harmless(head: bytes, path: PurePosixPath) -> str:
    """Name the format of a file that imports nothing; empty for others."""
    text = head.lstrip()
    if head[:2] == b"{L" and b"learner" in head:
        return "XGBoost UBJSON"
    if text[:1] in (b"{", b"[") and path.suffix not in _PICKLES:
        return "XGBoost JSON" if b'"learner"' in head else "JSON"
    return "safetensors" if path.suffix == ".safetensors" and head[8:9] == b"{" else ""


_KINDS: tuple[tuple[Callable[..., object], Callable[[Scan, str, BinaryIO, int], None]], ...] = (
    (lambda head, _, __: head[257:262] == b"ustar", Scan.tar),
    (lambda head, _, __: head.startswith(b"PK\x03\x04"), Scan.zip),
    (lambda head, _, __: head.startswith(b"\x93NUMPY"), Scan.array),
    (lambda head, _, __: head.startswith(b"\x89HDF\r\n"), Scan.hdf5),
    (lambda _, path, __: path.suffix == ".onnx", Scan.onnx),
    (lambda _, path, __: str(path).endswith("!schema.json"), Scan.skops),
    (lambda _, path, __: path.name.rpartition("!")[2] == "MLmodel", Scan.mlmodel),
    (lambda _, path, __: path.suffix in _CODE, Scan.code),
    (lambda head, path, __: _harmless(head, path), Scan.harmless),
    (lambda head, path, __: head[:1] == b"\x80" or path.suffix in _PICKLES, Scan.pickle),
)
