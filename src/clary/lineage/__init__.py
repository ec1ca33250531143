"""What came from what: artifacts by digest and the edges between them."""
