"""XML documents to parameters and results to XML documents, one compiled function a shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from clary.doors.wire.scalars import TEXT_READERS, Mismatch, text_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.doors.wire.model import ShapeDocument

    Read = Callable[["Element"], Any]
    Write = Callable[[Any, list[str]], None]

_DEEPEST = 64
_SPECIAL = re.compile('[&<>"\x00-\x08\x0b-\x1f\ufffe\uffff]')
_WRITTEN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}
_NO_CHARACTER = "\ufffd"


class Element:
    """An XML element, its name and its attributes' names without namespace."""

    __slots__ = ("attributes", "children", "name", "pieces")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = _local(name)
        self.attributes = {_local(key): value for key, value in attributes.items()}
        self.children: list[Element] = []
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """The character data directly inside."""
        return "".join(self.pieces)


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def parse(body: bytes) -> Element:
    """Parse a document without DTD. Raises Mismatch when it is none, or nested too deeply."""
    stack = [Element("", {})]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise Mismatch(f"The XML is nested deeper than {_DEEPEST} elements")
        element = Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def add(text: str) -> None:
        stack[-1].pieces.append(text)

    def refuse(*_: object) -> None:
        raise Mismatch("The XML has a document type declaration, which is not accepted")

    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = add
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat's own signature: this is the last piece
    except expat.ExpatError as error:
        raise Mismatch(f"The body is not well-formed XML: {error}") from None
    return stack[0].children[0]


class XmlReader:
    """Reads XML elements as parameters: known members only, types checked."""

    def __init__(self, shapes: Mapping[str, ShapeDocument]) -> None:
        self._shapes = shapes
        self._readers: dict[str, Read] = {}

    def reader(self, name: str) -> Read:
        """Return the function that reads a shape; it raises Mismatch."""
        if name not in self._readers:
            self._readers[name] = self._compile(self._shapes[name])
        return self._readers[name]

    def _compile(self, shape: ShapeDocument) -> Read:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return lambda element: self._entries(shape, element.children)
        read = TEXT_READERS[shape["type"]]
        return lambda element: read(element.text)

    def _structure(self, shape: ShapeDocument) -> Read:
        def read(element: Element) -> dict[str, Any]:
            found: dict[str, list[Element]] = {}
            for child in element.children:
                found.setdefault(child.name, []).append(child)
            result = {}
            for name, member in shape["members"].items():
                if "location" in member:
                    continue
                try:
                    value = self._member(name, member, element, found)
                except Mismatch as mismatch:
                    mismatch.path.append(name)
                    raise
                if value is not None:
                    result[name] = value
            return result

        return read

    def _member(
        self,
        name: str,
        member: ShapeDocument,
        element: Element,
        found: Mapping[str, list[Element]],
    ) -> Any:
        shape = self._shapes[member["shape"]]
        tag = member.get("locationName", name)
        if member.get("xmlAttribute"):
            return element.attributes.get(tag.rpartition(":")[2])
        if not (member.get("flattened") or shape.get("flattened")):
            return self.reader(member["shape"])(found[tag][0]) if tag in found else None
        if shape["type"] == "map":
            return self._entries(shape, found[tag]) if tag in found else None
        tag = flat_tag(name, member, shape)
        if tag not in found:
            return None
        return self._items(shape, found[tag])

    def _list(self, shape: ShapeDocument) -> Read:
        tag = shape["member"].get("locationName", "member")

        def read(element: Element) -> list[Any]:
            return self._items(shape, [child for child in element.children if child.name == tag])

        return read

    def _items(self, shape: ShapeDocument, elements: list[Element]) -> list[Any]:
        read = self.reader(shape["member"]["shape"])
        result: list[Any] = []
        try:
            result.extend(map(read, elements))
        except Mismatch as mismatch:
            mismatch.path.append(f"{len(result) + 1}.member")
            raise
        return result

    def _entries(self, shape: ShapeDocument, elements: list[Element]) -> dict[str, Any]:
        key_tag = shape["key"].get("locationName", "key")
        value_tag = shape["value"].get("locationName", "value")
        read = self.reader(shape["value"]["shape"])
        result = {}
        for element in elements:
            parts = {child.name: child for child in element.children}
            if key_tag not in parts or value_tag not in parts:
                raise Mismatch(f"A <{element.name}> entry lacks <{key_tag}> or <{value_tag}>")
            result[parts[key_tag].text] = read(parts[value_tag])
        return result


def flat_tag(name: str, member: ShapeDocument, shape: ShapeDocument) -> str:
    """Return the element name of a flattened list's items."""
    tag: str = member.get("locationName") or shape["member"].get("locationName") or name
    return tag


def escape(text: str) -> str:
    """Write text as XML character data; what XML 1.0 has no character for, as U+FFFD."""
    return _SPECIAL.sub(lambda match: _WRITTEN.get(match[0], _NO_CHARACTER), text)


class XmlWriter:
    """Writes results as XML; members that the shape lacks are left out."""

    def __init__(self, shapes: Mapping[str, ShapeDocument]) -> None:
        self._shapes = shapes
        self._contents: dict[str, Write] = {}

    def document(self, reference: ShapeDocument, tag: str, value: Any) -> bytes:
        """Write a whole document; ``reference`` names the shape and may add a namespace."""
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + self.element(reference, tag, value)

    def element(self, reference: ShapeDocument, tag: str, value: Any) -> bytes:
        """Write one element."""
        pieces: list[str] = []
        self._element(reference, tag)(value, pieces)
        return "".join(pieces).encode("utf-8", "replace")

    def _element(self, reference: ShapeDocument, tag: str) -> Write:
        shape = self._shapes[reference["shape"]]
        namespace = reference.get("xmlNamespace") or shape.get("xmlNamespace")
        attributes = self._attributes(shape)
        head = f"<{tag}"
        if namespace:
            prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
            head += f' xmlns{prefix}="{escape(namespace["uri"])}"'
        content = self._content(reference)

        def write(value: Any, pieces: list[str]) -> None:
            own = [
                f' {key}="{escape(str(value[name]))}"' for name, key in attributes if name in value
            ]
            pieces.append(f"{head}{''.join(own)}>")
            content(value, pieces)
            pieces.append(f"</{tag}>")

        return write

    def _attributes(self, shape: ShapeDocument) -> list[tuple[str, str]]:
        return [
            (name, member.get("locationName", name))
            for name, member in shape.get("members", {}).items()
            if member.get("xmlAttribute")
        ]

    def _content(self, reference: ShapeDocument) -> Write:
        name = reference["shape"]
        form = reference.get("timestampFormat")
        if form is None and name in self._contents:
            return self._contents[name]
        content = self._compile(self._shapes[name], form)
        if form is None:
            self._contents[name] = content
        return content

    def _compile(self, shape: ShapeDocument, form: str | None) -> Write:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._items(shape, shape["member"].get("locationName", "member"))
            case "map":
                return self._entries(shape, "entry")
        text = text_writer(shape["type"], form or shape.get("timestampFormat", "iso8601"))
        return lambda value, pieces: pieces.append(escape(text(value)))

    def _structure(self, shape: ShapeDocument) -> Write:
        table: dict[str, Write] = {}

        def write(value: Mapping[str, Any], pieces: list[str]) -> None:
            if not table:
                table.update(self._members(shape))
            for name, member in table.items():
                if (item := value.get(name)) is not None:
                    member(item, pieces)

        return write

    def _members(self, shape: ShapeDocument) -> dict[str, Write]:
        return {
            name: self._member(name, member)
            for name, member in shape["members"].items()
            if "location" not in member and not member.get("xmlAttribute")
        }

    def _member(self, name: str, member: ShapeDocument) -> Write:
        shape = self._shapes[member["shape"]]
        if not (member.get("flattened") or shape.get("flattened")):
            return self._element(member, member.get("locationName", name))
        if shape["type"] == "map":
            return self._entries(shape, member.get("locationName", name))
        return self._items(shape, flat_tag(name, member, shape))

    def _items(self, shape: ShapeDocument, tag: str) -> Write:
        def write(value: Any, pieces: list[str]) -> None:
            item_writer = self._element(shape["member"], tag)
            for item in value:
                item_writer(item, pieces)

        return write

    def _entries(self, shape: ShapeDocument, tag: str) -> Write:
        key_tag = shape["key"].get("locationName", "key")
        value_tag = shape["value"].get("locationName", "value")

        def write(value: Mapping[str, Any], pieces: list[str]) -> None:
            item_writer = self._element(shape["value"], value_tag)
            for key, item in value.items():
                pieces.append(f"<{tag}><{key_tag}>{escape(key)}</{key_tag}>")
                item_writer(item, pieces)
                pieces.append(f"</{tag}>")

        return write
