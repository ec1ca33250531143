"""Digests of text, in UTF-8, as hexadecimal."""

from __future__ import annotations

import hashlib

from clary.expressions.function import Function
from clary.expressions.types import VARCHAR


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


FUNCTIONS = (
    Function("md5", (VARCHAR,), VARCHAR, _md5),
    Function("sha1", (VARCHAR,), VARCHAR, _sha1),
    Function("sha256", (VARCHAR,), VARCHAR, _sha256, spark="sha2({0}, 256)"),
)
