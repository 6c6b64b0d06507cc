"""Who rated what: load, select, split, generate.

``table`` and ``synthetic`` need NumPy only, because every user actor imports them; what reads files
(``files`` and what it imports, ``movielens``, ``fetch``) brings pandas and is imported where a file is read.
"""
