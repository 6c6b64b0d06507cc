"""Places users and a server on Ray or in one process, drives rounds, charges time, writes the run folder."""
