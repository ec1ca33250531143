"""The model registry, as MLflow's clients know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.doors.mlflow.calls import Endpoint

ENDPOINTS: dict[str, Endpoint] = {}
