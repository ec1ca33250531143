"""What the feature store costs: beside Feast, and beside the engines with nothing around them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import http_features
import offline_features
import online_features
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
            made = [*online_features.figures(folder, feast), *http_features.figures(folder, feast)]
        finally:
            feast.close()
        return [*made, *online_features.million(folder), *offline_features.figures(folder)]
