"""Programs that run inside a job; what of them the server reads with is typed."""
