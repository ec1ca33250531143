"""What data looks like before and while it is wrangled: analyses, a report."""
