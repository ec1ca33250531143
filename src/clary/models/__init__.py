"""Models and the registry of model versions."""
