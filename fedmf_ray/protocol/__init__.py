"""FedMF in plain Python: users, servers, and the messages between them. No Ray, no files.

Round t, users i, items j (Chai et al., arXiv 1906.05108, section 4.2, figure 2). :mod:`~.round` has the
phases:

1. Servers publish the encrypted item matrix, :class:`~.messages.EncryptedItems`.
2. User i decrypts it: V, (items, width) integers on a grid (:func:`~.items.read_share`). It is checked
   against the tags (:class:`~.items.Ledger`), then against its bounds (:func:`~.items.open_tables`).
3. User i moves its own vector u_i with its private ratings and works out what to add to V
   (:meth:`~.user.Users.update`); an update rule says how (:mod:`fedmf_ray.learning.rules`).
4. User i encrypts that for the rows it uploads (:meth:`~.user.Users.uploads`):
   every row (*full text*), its rated rows (*part text*), or its rated rows and a fixed set of decoys
   that carry encrypted zeros (in between).
5. Each server adds every :class:`~.messages.Upload` as it arrives. It holds public values only.

``part_text_sparsity`` s is the one dial between full text (0) and part text (1): a user uploads
max(|rated|, ceil((1 - s) * items)) rows. Decoys are drawn once per user: fresh ones each round would fall
to intersecting the rounds.
"""
