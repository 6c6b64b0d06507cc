"""Runs a scenario: users and servers as actors, round after round, and what happens when they fail."""
