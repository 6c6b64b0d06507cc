"""Plays the adversary on what a server or a user saw, and on nothing else. No Ray, no truth.

============ ================================= ======================================================
module       adversary                         sees
============ ================================= ======================================================
gradients    server, gradients in the clear    V and uploads of a round (also: ciphertexts and a user's key)
closed_forms the same, by linear algebra       the same
ridge        server or user, rule ``ridge``    V and uploads, or V round after round
membership   server, gradients encrypted       which rows each user uploads
participant  one user                          V, round after round
lone_raters  one user, rule ``implicit``       rows with one rater (benchmarks/lone_raters.py plays it)
pairs        one user, rule ``item_item``      the table of pairs (benchmarks/pair_sums.py plays it)
============ ================================= ======================================================

:mod:`~.privacy.views` says what each of them has; :mod:`~.privacy.adversaries` registers them.
"""
