"""Scenarios as jobs of a Ray cluster: code and ratings go there, the log and the run folder come back."""
