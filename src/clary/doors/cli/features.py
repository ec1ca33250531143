"""clary features."""

from __future__ import annotations

from clary.doors.cli import feature_catalog, feature_records
from clary.doors.cli.options import new_app

app = new_app(several=True)
for _group in (feature_catalog.app, feature_records.app):
    app.registered_commands += _group.registered_commands
