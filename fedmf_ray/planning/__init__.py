"""A scenario turned into what actors need: who takes part, which rows share a ciphertext, what fits."""
