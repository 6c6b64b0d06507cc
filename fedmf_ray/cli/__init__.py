"""The command line: words into calls, and what a person sees."""
