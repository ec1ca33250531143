"""Models behind endpoints: variants, routing, invocations, capture, rollouts, scaling."""
