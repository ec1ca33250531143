"""Pipeline definitions, planner and executions; the engine knows no step kinds."""
