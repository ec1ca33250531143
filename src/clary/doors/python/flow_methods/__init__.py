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
from clary.doors.python.flow_methods.missing import Missing
from clary.doors.python.flow_methods.nested import Nested
from clary.doors.python.flow_methods.numeric import Numeric
from clary.doors.python.flow_methods.outliers import Outliers
from clary.doors.python.flow_methods.parse import Parse
from clary.doors.python.flow_methods.rows import Rows
from clary.doors.python.flow_methods.sampling import Sampling
from clary.doors.python.flow_methods.search import Search
from clary.doors.python.flow_methods.series import Series
from clary.doors.python.flow_methods.strings import Strings
from clary.doors.python.flow_methods.text import Text
from clary.doors.python.flow_methods.validate import Validate
from clary.doors.python.flow_methods.vectors import Vectors


class Methods(
    Balance,
    Columns,
    Combine,
    Custom,
    Dates,
    Encode,
    Group,
    Missing,
    Nested,
    Numeric,
    Outliers,
    Parse,
    Rows,
    Sampling,
    Search,
    Series,
    Strings,
    Text,
    Validate,
    Vectors,
):
    """Every transform as a method."""
