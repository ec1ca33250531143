"""What runs inside the sandbox of a flow's own code; it imports nothing of clary."""
