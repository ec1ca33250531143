"""Keys as file names: ordinary keys as they are, the rest by an injective percent escape.

The segments of a key between its slashes name folders and, last, a file. A segment is its own file
name where it can be. It cannot when it is empty, ``.`` or ``..``, begins with ``%``, holds a NUL or
exceeds 255 bytes; nor can an object beside a folder of the same name (``a`` beside ``a/b``). Then:

========== =====================================================================================
``%=text`` the object of that segment
``%-text`` the folder of that segment
``%+text`` a folder: the next 60 characters of a segment too long for one name; the rest is inside
========== =====================================================================================

In ``text``, ``%`` is written ``%25`` and NUL ``%00``. Names that begin with ``%`` but
follow from no key are no objects.
"""

from __future__ import annotations

from clary.kernel.errors import InvalidInput

LONGEST_KEY = 1024
_LONGEST_NAME = 255
_CUT = 60
Names = tuple[str, ...]


def check_key(key: str) -> None:
    """Refuse what S3 would: an empty key, over 1024 bytes, or no UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput("Key", f"{key!r} cannot be written as UTF-8") from None
    if not 1 <= size <= LONGEST_KEY:
        raise InvalidInput("Key", f"it has {size} bytes", legal=f"1 to {LONGEST_KEY} bytes")


def folder_names(segment: str) -> Names:
    """Name the folder of a segment: one name, or several nested ones.

    Examples
    --------
    >>> folder_names("train"), folder_names("..")
    (('train',), ('%-..',))
    """
    return (segment,) if _is_plain(segment) else _escaped(segment, "%-")


def object_names(segment: str) -> tuple[Names | None, Names]:
    """Name the object of a segment: as it is (None where that cannot be), and escaped.

    Examples
    --------
    >>> object_names("a.csv"), object_names("")
    ((('a.csv',), ('%=a.csv',)), (None, ('%=',)))
    """
    return (segment,) if _is_plain(segment) else None, _escaped(segment, "%=")


def segment_of(names: Names, *, folder: bool) -> str | None:
    r"""Read the names of one segment back; None when they follow from none.

    Examples
    --------
    >>> segment_of(("%=a%00b",), folder=False), segment_of(("%-ordinary",), folder=True)
    ('a\x00b', None)
    """
    if len(names) == 1 and _is_plain(names[0]):
        return names[0]
    text = "".join(name[2:] for name in names)
    segment = text.replace("%00", "\0").replace("%25", "%")
    legal = (folder_names(segment),) if folder else object_names(segment)
    return segment if names in legal else None


def is_cut(name: str) -> bool:
    """Say whether a folder holds the rests of long segments."""
    return name.startswith("%+")


def _is_plain(segment: str) -> bool:
    return (
        segment not in ("", ".", "..")
        and segment[0] != "%"
        and "\0" not in segment
        and len(segment.encode()) <= _LONGEST_NAME
    )


def _escaped(segment: str, mark: str) -> Names:
    name = mark + _quoted(segment)
    if len(name.encode()) <= _LONGEST_NAME:
        return (name,)
    cuts = [segment[at : at + _CUT] for at in range(0, len(segment), _CUT)]
    return (*("%+" + _quoted(cut) for cut in cuts[:-1]), mark + _quoted(cuts[-1]))


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace("\0", "%00")
