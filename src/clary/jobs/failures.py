"""Why a job failed, in one text that quotes what it said last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.jobs.model import Ending

LONGEST = 1024
_FALLBACK_LINES = 3
_KNOWN = ("AlgorithmError:", "ClientError:", "InternalServerError:")


def reason(
    ending: Ending,
    said: str,
    log: Sequence[str],
    *,
    memory_bytes: int | None,
    disk_is_full: bool = False,
) -> str:
    """Compose the FailureReason of a job whose program ended badly.

    Parameters
    ----------
    ending
        How the process ended.
    said
        What it wrote to its failure file, if anything.
    log
        The last lines of its log.
    memory_bytes
        The limit it ran under.
    disk_is_full
        Whether there is no room left; then its last words may be lost.

    Examples
    --------
    >>> from clary.jobs.model import Ending
    >>> reason(Ending(1), "", ["Traceback …", "  …", "ValueError: no rows"], memory_bytes=None)
    'AlgorithmError: ValueError: no rows, exit code: 1'
    """
    text = said.strip() or _last_words(log)
    if ending.by == "memory":
        limit = f" of {memory_bytes} bytes" if memory_bytes else ""
        text = f"OutOfMemory: the process exceeded its memory limit{limit}"
    elif ending.exit_code == 137 and not said.strip():
        text = "OutOfMemory: the process was killed, as by want of memory"
    elif disk_is_full:
        text = f"the disk is full; {text}" if text else "the disk is full"
    if not text.startswith(_KNOWN):
        text = f"AlgorithmError: {text or 'the program said nothing'}"
    tail = f", exit code: {ending.exit_code}"
    return text[: LONGEST - len(tail)] + tail


def _last_words(log: Sequence[str]) -> str:
    """Return the exception that ends a log with a traceback, else its last lines."""
    lines = [line for line in log if line.strip()]
    starts = [place for place, line in enumerate(lines) if line.startswith("Traceback")]
    if starts:
        ending = [line for line in lines[starts[-1] + 1 :] if not line.startswith((" ", "\t"))]
        if ending:
            return "\n".join(ending[:_FALLBACK_LINES])
    return "\n".join(lines[-_FALLBACK_LINES:])
