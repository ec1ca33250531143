"""Where the outside comes in; doors do not know each other."""
