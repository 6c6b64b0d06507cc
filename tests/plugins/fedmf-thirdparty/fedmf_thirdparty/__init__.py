"""Written as CONTRIBUTING.md says, and nothing else."""
