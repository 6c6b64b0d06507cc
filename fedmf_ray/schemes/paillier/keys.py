"""Key pairs (``phe``'s own) and what their sizes are worth."""

from __future__ import annotations

from phe.paillier import PaillierPrivateKey, PaillierPublicKey, generate_paillier_keypair

from fedmf_ray.errors import FedMFError

SMALLEST_KEY_BITS = 1024
"""No experiment needs smaller ones. Strength against factoring: 80, 112 and 128 bits for moduli of 1024, 2048
and 3072 bits (NIST SP 800-57 part 1, table 2)."""


LARGEST_KEY_BITS = 16384
"""Beyond 15360 bits (256-bit strength) nobody asks for more, and finding the primes takes minutes."""


def check_key_bits(key_bits: int) -> None:
    """Refuse key sizes that no experiment needs: below 1024 bits, above 16384, or odd ones."""
    if not SMALLEST_KEY_BITS <= key_bits <= LARGEST_KEY_BITS or key_bits % 64:
        raise FedMFError(
            f"protocol.key_bits: {key_bits} is not a key size (a multiple of 64, at most {LARGEST_KEY_BITS}, "
            f"at least {SMALLEST_KEY_BITS} to reproduce the paper; 2048 or 3072 for today's security)"
        )


def key_warning(key_bits: int) -> str | None:
    """One line about a key that is too weak to protect anybody, or None."""
    if key_bits >= 2048:
        return None
    return f"{key_bits}-bit keys reproduce the paper but protect nobody today: use 2048 or 3072"


def generate_keys(key_bits: int) -> tuple[PaillierPublicKey, PaillierPrivateKey]:
    """A fresh key pair from the operating system's randomness; never seeded."""
    check_key_bits(key_bits)
    public, private = generate_paillier_keypair(n_length=key_bits)
    return public, private


def restore_keys(p: int, q: int) -> tuple[PaillierPublicKey, PaillierPrivateKey]:
    """The key pair with these primes."""
    public = PaillierPublicKey(p * q)
    return public, PaillierPrivateKey(public, p, q)
