"""Simulate secure federated matrix factorisation (FedMF, arXiv 1906.05108) on Ray."""

__version__ = "0.1.0"
