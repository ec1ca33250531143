"""The operations offered, one module a slice."""
