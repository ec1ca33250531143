"""One language for transformations: SQL expressions that mean the same on every engine."""
