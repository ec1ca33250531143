"""What is behind violations, as HTML: nothing from data is taken for markup."""

from datetime import UTC, datetime

from clary.monitoring.cause_page import sections
from clary.monitoring.causes import Cause, Explanation, Moved
from clary.monitoring.outliers import Example, Rows
from clary.monitoring.upstream import Change

AT = datetime(2026, 1, 31, 9, tzinfo=UTC)
EVIL = "<script>alert('&')</script>"


def test_everything_is_escaped_and_bounded():
    rows = Rows(EVIL, 1, 2, (Example(EVIL, EVIL, EVIL, ""), Example(None, "", "", EVIL)))
    cause = Cause(EVIL, ("x",), (EVIL,), moved=(Moved(EVIL, 0.1, 0.2),), rows=(rows,))
    changes = (Change(AT, EVIL, EVIL), Change(None, "endpoint x", "was deployed"))
    found = Explanation("s", "e", AT, AT, AT, (cause,) * 60, changes, (EVIL,))
    text = "".join(sections(found))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "10 more are not explained here" in text
    assert "2026-01-31 09:00:00 UTC" in text


def test_where_nothing_was_found_nothing_is_behind_it():
    assert list(sections(Explanation("s", "e", AT, AT))) == []
