"""scikit-learn, for what is tried on a sample; found when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from clary.kernel.errors import NotSupported


def sklearn(module: str) -> Any:
    """Import a module of scikit-learn.

    Raises
    ------
    NotSupported
        It is not installed.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ModuleNotFoundError:
        raise NotSupported(
            "models are tried with scikit-learn, which is not installed",
            hint='pip install "clary[flows]"',
        ) from None
