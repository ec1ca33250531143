"""The REST protocol that MLflow's clients speak: tracking, artifacts, logged models, registry."""
