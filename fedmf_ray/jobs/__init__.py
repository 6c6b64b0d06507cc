"""Scenarios as jobs of a Ray cluster: submit code and ratings, follow the log, fetch the run folder."""
