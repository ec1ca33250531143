"""The program of the image ``sagemaker-clarify-processing``: settings in analysis_config.json."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the methods that the configuration names; 1 when there is none of the name."""
    sys.stderr.write("the methods of the configuration are not there yet\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
