"""Isolated processes that outlive the server."""

from clary.adapters.process.runner import ProcessRunner

__all__ = ["ProcessRunner"]
