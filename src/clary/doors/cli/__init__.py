"""argv to service to text."""
