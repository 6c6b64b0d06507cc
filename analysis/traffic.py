"""Bytes a round and user, up and down: over a swept key of a study, or a bar per run.

python analysis/traffic.py STUDY... [--over KEY] [-o FILE]
python analysis/traffic.py RUN... [-o FILE]
"""

from fedmf_ray.report.traffic import main

if __name__ == "__main__":
    main()
