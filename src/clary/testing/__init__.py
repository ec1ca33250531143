"""Public contract suites for the ports."""
