"""How the public JSON documents of monitoring are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from msgspec import Struct


def pretty(document: Struct) -> bytes:
    """Write a document for people too: indented, without the members that are None."""
    return msgspec.json.format(msgspec.json.encode(_said(msgspec.to_builtins(document))), indent=2)


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_said(one) for one in value]
    return value
