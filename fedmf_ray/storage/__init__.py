"""What a run leaves on disk: its folder for everybody, its checkpoints for their owners alone."""
