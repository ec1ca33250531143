"""What a pickle would import and call, found by following its opcodes; nothing is ever loaded.

A pickle is a program for a machine with a stack and a memo. Here that machine runs on stand-ins:
a global is its name, and the result of a call is a note of what was called. The names it meets
are all that the real machine could import, whatever tricks led to them. What is not understood
ends the walk and is told, so that nothing hides behind it.
"""

from __future__ import annotations

import _compat_pickle
import pickletools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from clary.models.joblib_arrays import WRAPPER, array_bytes, holds_objects
from clary.models.pickle_constants import constant
from clary.models.stand_ins import UNKNOWN, Global, Made, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_OPCODES = 20_000_000
"""About half a minute; what has more is not walked to its end."""
MOST_HELD = 4_000_000
"""Values on the stack, and in the memo: a few hundred MiB."""
COMPUTED = "(computed)"
"""Stands for a name that is made by other calls only while the pickle is loaded."""
_NOW_AND_THEN = 0xFF
_LONGEST_NAME = 4096
_LONGEST_LINE = 1 << 20
_MOST_NESTED = 16
_PROTOCOL = b"\x80"
"""How pickles begin since protocol 2."""
_LAST_PROTOCOL = 5
_OPCODES = {ord(one.code): one for one in pickletools.opcodes}
_WIDTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


@dataclass(slots=True)
class Walk:
    """What a walk has found.

    Parameters
    ----------
    globals
        What is imported, and whether it is called; in the order of the first import.
    opcodes
        How many opcodes were read.
    pickles
        How many pickles ended with STOP.
    problem
        Why the walk ended before the pickle did; empty when it did not.
    """

    globals: dict[tuple[str, str], bool] = field(default_factory=dict)
    opcodes: int = 0
    pickles: int = 0
    problem: str = ""


class _Malformed(Exception):
    """The real machine would stop here, or does something that is not known."""


def walk(file: BinaryIO) -> Walk:
    """Follow the pickle at the file's position, and any that stand behind it.

    Where joblib would read an array from between the opcodes, both readings are followed: the one
    that skips it, as joblib does, and the one that takes it for opcodes, as pickle does.
    """
    start = file.tell()
    found = _walk(file, arrays=False)
    if WRAPPER not in found.globals:
        return found
    file.seek(start)
    skipping = _walk(file, arrays=True)
    named = {key: called for key, called in found.globals.items() if COMPUTED not in key}
    skipping.globals = {**(found.globals if skipping.problem else named), **skipping.globals}
    return skipping


def _walk(file: BinaryIO, *, arrays: bool) -> Walk:
    found = Walk()
    while True:
        known, start = len(found.globals), file.tell()
        try:
            _Machine(file, found, arrays=arrays).run()
        except _Malformed as error:
            file.seek(start)
            more = file.read(1)
            if not found.pickles or more == _PROTOCOL or len(found.globals) > known:
                found.problem = str(error)
            return found
        found.pickles += 1


class _Machine:
    """One pickle's run over stand-ins."""

    def __init__(self, file: BinaryIO, found: Walk, *, arrays: bool, depth: int = 0) -> None:
        self._file = file
        self._found = found
        self._arrays = arrays
        self._depth = depth
        self._protocol = 0
        self._stack = Stack(_Malformed)
        self._memo: dict[int, Any] = {}

    def run(self) -> None:
        """Walk until STOP. Raises _Malformed."""
        if self._depth > _MOST_NESTED:
            raise _Malformed(f"more than {_MOST_NESTED} pickles stand in each other")
        while True:
            byte = self._file.read(1)
            if not byte:
                raise _Malformed("it ends before its STOP")
            self._found.opcodes += 1
            if not self._found.opcodes & _NOW_AND_THEN:
                self._check_bounds()
            opcode = _OPCODES.get(byte[0])
            if opcode is None:
                raise _Malformed(f"byte {byte[0]:#04x} is no opcode")
            if opcode.name == "STOP":
                self._stack.pop()
                return
            argument = self._argument(opcode)
            act = _ACTS.get(opcode.name)
            if act is not None:
                act(self, argument)
            else:
                self._plain(opcode, argument)

    def _check_bounds(self) -> None:
        if self._found.opcodes > MOST_OPCODES:
            raise _Malformed(f"it has more than {MOST_OPCODES} opcodes")
        if max(self._stack.size, len(self._memo)) > MOST_HELD:
            raise _Malformed(f"it holds more than {MOST_HELD} values at once")

    def _argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        """Read what stands behind an opcode: bytes, an integer, or UNKNOWN for what is long."""
        if opcode.arg is None:
            return None
        size = opcode.arg.n
        if size == pickletools.UP_TO_NEWLINE:
            return self._line()
        if size in _WIDTHS:
            length = int.from_bytes(self._bytes(_WIDTHS[size]), "little")
            if length <= _LONGEST_NAME:
                return self._bytes(length)
            self._skip(length)
            return UNKNOWN
        return self._bytes(size)

    def _line(self) -> bytes:
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise _Malformed("a line has no end, or is too long")
        return line[:-1]

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _Malformed("it is cut off")
        return data

    def _skip(self, count: int) -> None:
        """Move behind some bytes, of which the last must be there."""
        if count > 0:
            try:
                self._file.seek(count - 1, 1)
            except (OSError, OverflowError, ValueError):
                raise _Malformed("it is cut off") from None
            self._bytes(1)

    def _plain(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Do what an opcode does that only moves values."""
        before, after = opcode.stack_before, opcode.stack_after
        if pickletools.markobject in before:
            self._stack.to_mark()
            before = before[: before.index(pickletools.markobject)]
        kept = [self._stack.pop() for _ in before]
        if after == before and kept:  # containers are filled in place
            self._stack.push(kept[-1])
            return
        for _ in after:
            self._stack.push(self._constant(opcode.name, argument))

    @staticmethod
    def _constant(opcode: str, argument: Any) -> Any:
        try:
            return constant(opcode, argument)
        except ValueError:
            raise _Malformed(f"the constant of {opcode} cannot be read") from None

    def protocol(self, argument: bytes) -> None:
        """PROTO: later names are not translated from Python 2."""
        self._protocol = argument[0]
        if self._protocol > _LAST_PROTOCOL:
            raise _Malformed(f"protocol {self._protocol} is not known")

    def mark(self, _: Any) -> None:
        """MARK."""
        self._stack.mark()

    def pop(self, _: Any) -> None:
        """POP: also takes a mark away, where that is on top."""
        self._stack.drop()

    def duplicate(self, _: Any) -> None:
        """DUP."""
        self._stack.push(self._stack.top())

    def put(self, argument: bytes) -> None:
        """PUT, BINPUT, LONG_BINPUT."""
        self._memo[_index(argument)] = self._stack.top()

    def put_line(self, argument: bytes) -> None:
        """PUT with a decimal number."""
        self._memo[_decimal(argument)] = self._stack.top()

    def memoize(self, _: Any) -> None:
        """MEMOIZE."""
        self._memo[len(self._memo)] = self._stack.top()

    def get(self, argument: bytes) -> None:
        """BINGET, LONG_BINGET."""
        self._recall(_index(argument))

    def get_line(self, argument: bytes) -> None:
        """GET."""
        self._recall(_decimal(argument))

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise _Malformed(f"memo {index} is empty")
        self._stack.push(self._memo[index])

    def global_(self, module: bytes) -> None:
        """GLOBAL: two lines."""
        self._import(_text(module), _text(self._line()))

    def stack_global(self, _: Any) -> None:
        """STACK_GLOBAL: two texts, however they came onto the stack."""
        name, module = self._stack.pop(), self._stack.pop()
        self._import(module, name)

    def extension(self, argument: bytes) -> None:
        """EXT1, EXT2, EXT4: a number that the loading process may have registered for a name."""
        self._import("(extension registry)", str(_index(argument)))

    def _import(self, module: Any, name: Any) -> None:
        module = module if isinstance(module, str) else COMPUTED
        name = name if isinstance(name, str) else COMPUTED
        key = _translated(module, name) if self._protocol < 3 else (module, name)
        self._found.globals.setdefault(key, False)
        self._stack.push(Global(*key))

    def instance(self, module: bytes) -> None:
        """INST: two lines name a class, which is called with what is above the mark."""
        name = self._line()
        arguments = self._stack.to_mark()
        self._import(_text(module), _text(name))
        self._call(self._stack.pop(), tuple(arguments))

    def object_(self, _: Any) -> None:
        """OBJ: the class is the first above the mark."""
        arguments = self._stack.to_mark()
        if not arguments:
            raise _Malformed("OBJ has no class")
        self._call(arguments[0], tuple(arguments[1:]))

    def reduce(self, _: Any) -> None:
        """REDUCE, NEWOBJ."""
        arguments, what = self._stack.pop(), self._stack.pop()
        self._call(what, arguments)

    def new_with_names(self, _: Any) -> None:
        """NEWOBJ_EX."""
        _, arguments, what = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(what, arguments)

    def _call(self, what: Any, arguments: Any) -> None:
        if isinstance(what, Global):
            self._found.globals[what.key] = True
        self._stack.push(Made(what, arguments if isinstance(arguments, tuple) else ()))

    def build(self, _: Any) -> None:
        """BUILD: an object gets its state; behind that of an array of joblib stands the array."""
        state, what = self._stack.pop(), self._stack.pop()
        if isinstance(what, Made):
            what = what.built(state)
        self._stack.push(what)
        if self._arrays and isinstance(what, Made) and what.kind == WRAPPER:
            if holds_objects(what.state):
                _Machine(self._file, self._found, arrays=False, depth=self._depth + 1).run()
            else:
                self._skip_array(what.state)

    def _skip_array(self, state: Any) -> None:
        if isinstance(state, dict) and state.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._bytes(1)[0])
        size = array_bytes(state)
        if size is None:
            raise _Malformed("the size of an array of joblib is not known")
        self._skip(size)

    def dictionary(self, _: Any) -> None:
        """EMPTY_DICT."""
        self._stack.push({})

    def set_item(self, _: Any) -> None:
        """SETITEM."""
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def set_items(self, _: Any) -> None:
        """SETITEMS."""
        self._fill(self._stack.to_mark())

    def _fill(self, items: list[Any]) -> None:
        target = self._stack.top()
        if isinstance(target, dict) and len(target) < _LONGEST_NAME:
            pairs = zip(items[::2], items[1::2], strict=False)
            target.update((key, value) for key, value in pairs if isinstance(key, str))

    def tuple_(self, _: Any) -> None:
        """TUPLE."""
        self._stack.push(tuple(self._stack.to_mark()))

    def short_tuple(self, count: int) -> None:
        """TUPLE1, TUPLE2, TUPLE3."""
        self._stack.push(tuple(reversed([self._stack.pop() for _ in range(count)])))


def _index(argument: bytes) -> int:
    return int.from_bytes(argument, "little")


def _decimal(argument: bytes) -> int:
    try:
        return int(argument)
    except ValueError:
        raise _Malformed(f"{argument[:40]!r} is no number") from None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _translated(module: str, name: str) -> tuple[str, str]:
    """Give a name of Python 2 as the loader of today finds it."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        found: tuple[str, str] = _compat_pickle.NAME_MAPPING[module, name]
        return found
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


_ACTS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.protocol,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put_line,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get_line,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine.extension),
    "INST": _Machine.instance,
    "OBJ": _Machine.object_,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.reduce),
    "NEWOBJ_EX": _Machine.new_with_names,
    "BUILD": _Machine.build,
    "EMPTY_DICT": _Machine.dictionary,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2),
    "TUPLE3": lambda machine, _: machine.short_tuple(3),
}
