# written by tools/flow_methods.py; do not edit
"""The transforms as methods, a file a group."""

from __future__ import annotations

from clary.doors.python.flow_methods.columns import Columns
from clary.doors.python.flow_methods.encode import Encode
from clary.doors.python.flow_methods.numeric import Numeric
from clary.doors.python.flow_methods.rows import Rows


class Methods(Columns, Encode, Numeric, Rows):
    """Every transform as a method."""
