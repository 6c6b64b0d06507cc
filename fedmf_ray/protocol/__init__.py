"""FedMF in plain Python: users, a server, and the messages between them. No Ray, no files.

Round t, users i, items j (Chai et al., arXiv 1906.05108, section 4.2, figure 2):

1. The server publishes the encrypted item matrix, :class:`~.messages.EncryptedItems`.
2. User i decrypts it: V, (items, factors) float64 on a fixed-point grid (:func:`~.items.read_share`), and
   checks that it is what the server says (:class:`~.items.Ledger`) before it looks at it
   (:func:`~.items.open_tables`).
3. User i moves its own vector u_i with its private ratings and computes what it adds to V: minus
   learning_rate times the gradient of its loss (:meth:`~.user.Users.update`).
4. User i encrypts that for the rows it uploads (:meth:`~.user.Users.uploads`):
   every row (*full text*), its rated rows (*part text*), or its rated rows and a fixed set of decoys
   that carry encrypted zeros (in between).
5. The server adds each :class:`~.messages.Upload` as it arrives. It holds the public key only.

``part_text_sparsity`` s is the one dial between full text (0) and part text (1): a user uploads
max(|rated|, ceil((1 - s) * items)) rows. Decoys are drawn once a user: fresh ones each round would fall
to intersecting the rounds.
"""
