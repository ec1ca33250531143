"""The constants that opcodes of pickles push, as far as names and sizes may come from them."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from clary.models.stand_ins import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable


def constant(opcode: str, argument: Any) -> Any:
    """Give the constant an opcode pushes; UNKNOWN for what no name or array needs.

    Raises
    ------
    ValueError
        The argument is none of this opcode's.
    """
    read = _READ.get(opcode)
    return UNKNOWN if read is None or argument is UNKNOWN else read(argument)


def _quoted(argument: bytes) -> str:
    line = argument.strip(b" \t\r\n")
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("the argument of STRING has no quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _index(argument: bytes) -> int:
    return int.from_bytes(argument, "little")


def _signed(argument: bytes) -> int:
    return int.from_bytes(argument, "little", signed=True)


def _number(argument: bytes) -> int | bool:
    special = {b"00": False, b"01": True}
    return special[argument] if argument in special else int(argument, 0)


_READ: dict[str, Callable[[bytes], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "INT": _number,
    "BININT": _signed,
    "BININT1": _index,
    "BININT2": _index,
    "LONG": lambda argument: int(argument.rstrip(b"L") or b"0", 0),
    "LONG1": _signed,
    "LONG4": _signed,
    "STRING": _quoted,
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), lambda data: data.decode("latin-1")),
    "UNICODE": lambda data: data.decode("raw-unicode-escape"),
    **dict.fromkeys(
        ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        lambda data: data.decode("utf-8", "surrogatepass"),
    ),
    "EMPTY_TUPLE": lambda _: (),
}
