"""Words everyone shares; no IO."""
