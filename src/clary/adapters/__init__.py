"""One file or folder per technology behind the ports."""
