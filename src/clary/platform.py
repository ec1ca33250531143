"""The composition root: the only file that knows both the services and their adapters."""
