"""What to simulate: one YAML file, typed and validated, every key documented where it is defined."""
