"""A study of small runs, and who watches it."""

from fedmf_ray.engine.progress import Silent

BASE = {
    "ratings": {"source": "synthetic", "users": 3, "items": 6, "sparsity": 0.3},
    "model": {"factors": 3, "learning_rate": 0.02},
    "protocol": {"scheme": "plain"},
    "stop": {"rounds": 2},
    "cluster": {"backend": "serial"},
}


class Watch(Silent):
    """Remembers which cells were run."""

    def __init__(self):
        self.seen = []

    def cell(self, done, total, name):
        self.seen.append(name)
