"""The captions that tests of the page know; a picture that is added later must not make them red."""

CAPTIONS = (
    "Losses after each round.",
    "Where the time goes, mean round.",
    "Bytes of a user in a round, mean.",
    "What adversaries recover.",
    "Scaling over workers, mean round.",
)


def known_captions(captions):
    """Those that are known, in their order."""
    return [caption for caption in captions if caption in CAPTIONS or caption.startswith("Protocol seconds")]
