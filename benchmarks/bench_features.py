"""What the feature store costs: beside Feast, and beside the engines with nothing around them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import http_features
import ingest_features
import join_features
import offline_features
import online_features
import transform_features
from feast_peer import Feast
from online_features import ENTITIES

if TYPE_CHECKING:
    from figure import Figure


def figures() -> list[Figure]:
    """Measure ours and the peers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feast = Feast(folder / "feast", ENTITIES)
        feast.measure("load")
        try:
            made = [
                figure
                for part in (online_features, transform_features, http_features)
                for figure in part.figures(folder, feast)
            ]
        finally:
            feast.close()
        parts = (online_features.million, ingest_features.figures, offline_features.figures)
        return [
            *made,
            *(figure for part in parts for figure in part(folder)),
            *join_features.figures(folder),
        ]
