"""Where the time goes: the parts of the slowest user's round and the server, a bar per run or cell.

python analysis/breakdown.py RUN_OR_STUDY... [--seconds] [-o FILE]
"""

from fedmf_ray.report.breakdown import main

if __name__ == "__main__":
    main()
