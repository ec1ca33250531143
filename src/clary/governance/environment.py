"""What a program needs around it so that unmodified AWS clients reach this platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from clary.governance.bearer import bearer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.governance.model import Credentials

CLIENT_DIR = Path(__file__).resolve().parent / "client"
"""The directory with the plugin, which a sandbox must make readable at the same path."""

_PLUGIN = "clary=clary_client"
_IMAGE = "sagemaker-base-python"
"""What the SDK's remote functions run in unless they name an image: the client's own Python."""
_LOOPBACK = ("127.0.0.1", "localhost")

_MLFLOW = {
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_AUTH"),
    *("MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_REGISTRY_URI", "MLFLOW_WORKSPACE"),
}


def client_environment(
    endpoint: str,
    credentials: Credentials,
    region: str,
    *,
    inherited: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return what AWS's and MLflow's clients need.

    They are set beside the variables of ``inherited`` that ``conflicts`` does not name.

    Parameters
    ----------
    endpoint
        The server's URL.
    credentials, region
        What the program signs with.
    inherited
        The environment the program has already; lists in it are extended.
    """
    around = inherited or {}
    no_proxy = around.get("no_proxy") or around.get("NO_PROXY", "")
    bypass = _joined((*no_proxy.split(","), *_LOOPBACK), ",")
    plugins = around.get("BOTOCORE_EXPERIMENTAL__PLUGINS", "")
    python_path = around.get("PYTHONPATH", "")
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": _joined((*plugins.split(","), _PLUGIN), ","),
        "PYTHONPATH": _joined((str(CLIENT_DIR), *python_path.split(os.pathsep)), os.pathsep),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(CLIENT_DIR / "sagemaker.yaml"),
        "SAGEMAKER_INTERNAL_IMAGE_URI": _IMAGE,
        "MLFLOW_TRACKING_URI": endpoint,
        "MLFLOW_TRACKING_TOKEN": bearer(credentials, region),
        "NO_PROXY": bypass,
        "no_proxy": bypass,
    }
    return {name: value for name, value in variables.items() if value}


def conflicts(inherited: Mapping[str, str]) -> list[str]:
    """Name the variables that would lead a client elsewhere, and so must go.

    A profile or an endpoint of one service's own wins over the endpoint of all; a session token
    of other keys spoils ours. MLflow prefers a user's name to a token.
    """
    single = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"}
    single |= _MLFLOW
    single.add("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    return sorted(
        name for name in inherited if name in single or name.startswith("AWS_ENDPOINT_URL_")
    )


def _joined(parts: Iterable[str], separator: str) -> str:
    return separator.join(dict.fromkeys(part for part in parts if part))
