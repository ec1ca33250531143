"""The functions, a file a family."""
