"""The program of the image ``sagemaker-model-monitor-analyzer``: settings in its environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clary.analysis.violations import exit_message
from clary.kernel.errors import ClaryError, InvalidInput
from clary.monitoring.programs import data_quality, model_quality, settings


def run(ml: Path) -> str:
    """Run the analysis that the environment names, and return the job's last words.

    Parameters
    ----------
    ml
        What the job's ``/opt/ml`` is.

    Raises
    ------
    ClaryError
        It cannot be done; says why.
    """
    given = dict(os.environ)
    analysis = given.get("analysis_type") or "DATA_QUALITY"
    if analysis == "MODEL_QUALITY":
        found = model_quality.run(given, ml)
    elif analysis == "DATA_QUALITY":
        found = data_quality.run(settings.read(given, settings.Settings), ml)
    else:
        raise InvalidInput("analysis_type", f"{analysis!r}", legal="DATA_QUALITY, MODEL_QUALITY")
    return exit_message(len(found))


def main() -> int:
    """Run the analysis; 1 when it cannot be done."""
    ml = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    try:
        said, code = run(ml), 0
    except ClaryError as error:
        said, code = f"Error: {error}", 1
    sys.stdout.write(f"{said}\n")
    message = ml / "output" / "message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(said, "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
