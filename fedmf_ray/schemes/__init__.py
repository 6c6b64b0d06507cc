"""Encrypt, add and decrypt whole matrices, exactly.

Threat model (the paper's): the server is honest but curious and sees ciphertexts only; all users share
one Paillier key pair and do not collude with the server. A server that holds one user's key reads
everything. Paillier gives semantic security to ciphertexts: it hides neither which rows a user
uploads nor how many. Additions are malleable by design, so a server that tampers is not noticed here.

Two types keep the roles apart. A :class:`~fedmf_ray.schemes.registry.KeyHolder` encrypts and decrypts
and lives with users; an :class:`~fedmf_ray.schemes.registry.Evaluator` validates and adds, is built from
the public key alone, and is all that a server ever holds.

This is a simulator, not a hardware security module: arithmetic is not constant time, and which entries of
a table are read depends on the secret randomness of a ciphertext. Neighbours on a machine could see it.
"""

from fedmf_ray.schemes.labels import protection

__all__ = ["protection"]
