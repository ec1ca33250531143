"""What a client gets on its PYTHONPATH; the plugin is stdlib-only and needs no clary."""
