"""Programs that run inside monitoring jobs, in the server's own environment."""
