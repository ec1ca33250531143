"""The program of the image ``sagemaker-model-monitor-analyzer``: settings in its environment."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the analysis that the environment names; 1 when there is none of the name."""
    sys.stderr.write("the analysis that the environment names is not there yet\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
