"""Files of captures read by the block hold what they hold line by line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from clary.analysis import captured_rows
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

MIDDLE = datetime(2026, 1, 31, 0, 10, tzinfo=UTC)


def line(
    asked: str, answer: str | None, *, minute: int = 5, time: str = "", encoding: str = "CSV"
) -> str:
    sides: dict[str, Any] = {"endpointInput": {"data": asked, "encoding": encoding}}
    if answer is not None:
        sides["endpointOutput"] = {"data": answer, "encoding": "CSV"}
    event = {"eventId": "1", "inferenceTime": time or f"2026-01-31T00:{minute:02}:00Z"}
    return json.dumps({"captureData": sides, "eventMetadata": event, "eventVersion": "0"})


LONG = "1," + "x" * 700_000
CASES = {
    "alike": [line(f"{at},b", f"{at}") for at in range(50)],
    "several blocks": [line(LONG, str(at)) for at in range(5)],
    "another width in a later block": [*[line(LONG, "1")] * 3, line("1,2,3", "4")],
    "a quote in a later block": [*[line(LONG, "1")] * 3, line('"1,2",3', "4")],
    "a damaged line in a later block": [*[line(LONG, "1")] * 3, '{"captureData": '],
    "ends of lines": [line("1,2\n", "3\r\n"), line("4,5\n", "6\n")],
    "one end of a line": [line("1,2", "3"), line("4,5\n", "6")],
    "several rows": [line("1\n2\n", "3\n4\n")],
    "empty": [line("1,2", "")],
    "half outside": [line(f"{at}", "0", minute=at) for at in range(20)],
    "all outside": [line("1", "0", minute=3)],
    "outside in a whole block": [*[line(LONG, "1", minute=2)] * 4, line("1,2", "3", minute=12)],
    "no time": [line("1", "0", time="never"), line("2", "0", minute=1)],
    "one side": [line("1,2", None), line("3,4", None)],
    "sometimes one side": [line("1,2", None), line("3,4", "5")],
    "JSON": [line("[1, 2]", "3", encoding="JSON")],
}


def table(spool: Spool) -> pa.Table:
    return spool.rows().combine_chunks()


@pytest.mark.parametrize("window", [None, Window(MIDDLE)], ids=["all", "window"])
@pytest.mark.parametrize("sides", [captured_rows.SIDES, ("endpointOutput",)], ids=["both", "one"])
@pytest.mark.parametrize("case", CASES)
def test_blocks_hold_what_lines_hold(
    tmp_path: Path, case: str, sides: tuple[str, ...], window: Window | None
) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(CASES[case]) + "\n", encoding="utf-8")
    spools = []
    for name in ("blocks", "lines"):
        (tmp_path / name).mkdir()
        spools.append(Spool(str(tmp_path / name)))
    faults, expected = Faults(), Faults()
    captured_rows.put_down_files(file, spools[0], faults, sides=sides, window=window)
    read = captures(file, expected, window=window)
    captured_rows.put_down(read, spools[1], expected, sides=sides)
    assert table(spools[0]).equals(table(spools[1]))
    assert faults == expected
