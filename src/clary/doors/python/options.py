"""What a step can ask for, checked where it is written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput
from clary.pipelines.retries import ANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.ports import JsonObject

_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(MiB|GiB|MB|GB)")
_UNITS = {"MiB": 1.0, "GiB": 1024.0, "MB": 1e6 / 2**20, "GB": 1e9 / 2**20}
_AGE = re.compile(r"([1-9][0-9]{0,4})([smhdw])")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULT_INSTANCE = "ml.m5.large"
_LEAST_MIB = 64
_MOST_RETRIES = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What one step asks for.

    Parameters
    ----------
    name
        The step's name; empty for the function's.
    cpus, gpus
        Processors it reserves; None: it shares the machine.
    memory
        Its limit, as ``2GiB`` or ``500MB``.
    retries
        How often it is tried again when it fails.
    timeout_s
        Seconds until it is stopped.
    cache
        Reuse the result of equal code, arguments and inputs: True, or how long it stays good, as
        ``30d`` or ``12h``.
    requirements
        The packages of an environment of its own: a list, or the path of a requirements.txt.
    after
        Steps' results that must be there before, though they are no arguments.
    feature_group
        The feature group that gets the rows of its result, which is a frame or a file of rows: all,
        or none where one is wrong.
    process
        Run in a process and a sandbox of its own. Else a step that imports no large library, and
        asks for no processors, memory, GPUs, time or requirements, may follow others of its
        execution in one sandbox, each with a clean interpreter of its own.
    """

    name: str = ""
    cpus: int | None = None
    memory: str | None = None
    gpus: int = 0
    retries: int = 0
    timeout_s: int | None = None
    cache: bool | str = False
    requirements: Sequence[str] | str | Path = ()
    after: Sequence[Any] = ()
    feature_group: str = ""
    process: bool = False

    def __post_init__(self) -> None:
        """Refuse what can never be had."""
        if self.name and not _NAME.fullmatch(self.name):
            raise InvalidInput("name", f"{self.name!r}", legal="1 to 64 letters, digits, - and _")
        _whole("cpus", self.cpus, 1, 4096)
        _whole("gpus", self.gpus, 0, 64)
        _whole("retries", self.retries, 0, _MOST_RETRIES)
        _whole("timeout_s", self.timeout_s, 1, 28 * 86_400)
        if self.memory is not None and _mib(self.memory) < _LEAST_MIB:
            raise InvalidInput("memory", f"{self.memory!r}", legal=f"at least {_LEAST_MIB}MiB")
        if isinstance(self.cache, str):
            _iso_age(self.cache)
        if self.cache and self.feature_group:
            problem = "a step that fills a feature group is done each time"
            raise InvalidInput("cache", problem, legal="False")

    @property
    def instance_type(self) -> str:
        """The label by which a job asks for processors and memory."""
        if not (self.cpus or self.memory or self.gpus):
            return _DEFAULT_INSTANCE
        mib = _mib(self.memory) if self.memory else 0
        gpus = f".g{self.gpus}" if self.gpus else ""
        return f"clary.c{self.cpus or 0}.m{mib}{gpus}"

    @property
    def may_share(self) -> bool:
        """Whether nothing is asked for that takes a process of its own."""
        asked = (self.process, self.cpus, self.memory, self.gpus, self.timeout_s, self.requirements)
        return not any(asked) and not self.feature_group

    def members(self) -> JsonObject:
        """Return the members of the step's document beside its arguments."""
        members: JsonObject = {}
        if self.cache:
            age = {"ExpireAfter": _iso_age(self.cache)} if isinstance(self.cache, str) else {}
            members["CacheConfig"] = {"Enabled": True, **age}
        if self.retries:
            members["RetryPolicies"] = [
                {
                    "ExceptionType": [ANY],
                    "MaxAttempts": self.retries,
                    "IntervalSeconds": 1,
                    "BackoffRate": 2.0,
                }
            ]
        return members

    def wanted(self) -> list[str]:
        """Return the requirements, read from their file where it is one.

        Raises
        ------
        InvalidInput
            The file cannot be read.
        """
        if not isinstance(self.requirements, str | os.PathLike):
            return list(self.requirements)
        try:
            text = Path(self.requirements).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput("requirements", f"{self.requirements}: {error}") from None
        return text.splitlines()


def _whole(field: str, value: object, least: int, most: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(field, f"{value!r}", legal=f"a whole number, {least} to {most}")


def _mib(text: str) -> int:
    """Read an amount of memory.

    Examples
    --------
    >>> _mib("2GiB"), _mib("1.5 GiB"), _mib("500MB")
    (2048, 1536, 476)
    """
    match = _MEMORY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidInput("memory", f"{text!r}", legal="like 2GiB, 1.5GiB, 500MB")
    return int(float(match[1]) * _UNITS[match[2]])


def _iso_age(text: str) -> str:
    """Write an age as definitions do.

    Examples
    --------
    >>> _iso_age("30d"), _iso_age("12h"), _iso_age("P1W")
    ('P30D', 'PT12H', 'P1W')
    """
    if re.fullmatch(r"P[0-9TYMWDHS]+", text):
        return text
    match = _AGE.fullmatch(text)
    if match is None:
        raise InvalidInput("cache", f"{text!r}", legal="True, or an age like 30d, 12h, 90m")
    amount, unit = match.groups()
    return f"P{'T' if unit in 'smh' else ''}{amount}{unit.upper()}"
