# written by tools/flow_methods.py; do not edit
"""The transforms as methods, a file a group."""

from __future__ import annotations

from clary.doors.python.flow_methods.balance import Balance
from clary.doors.python.flow_methods.columns import Columns
from clary.doors.python.flow_methods.combine import Combine
from clary.doors.python.flow_methods.custom import Custom
from clary.doors.python.flow_methods.dates import Dates
from clary.doors.python.flow_methods.encode import Encode
from clary.doors.python.flow_methods.group import Group
from clary.doors.python.flow_methods.numeric import Numeric
from clary.doors.python.flow_methods.rows import Rows
from clary.doors.python.flow_methods.sampling import Sampling
from clary.doors.python.flow_methods.search import Search
from clary.doors.python.flow_methods.strings import Strings


class Methods(
    Balance,
    Columns,
    Combine,
    Custom,
    Dates,
    Encode,
    Group,
    Numeric,
    Rows,
    Sampling,
    Search,
    Strings,
):
    """Every transform as a method."""
