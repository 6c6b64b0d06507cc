"""Paillier: one value a ciphertext (``elementwise``), or whole rows and more (``packed``)."""
