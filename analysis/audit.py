"""What an audit found: how much each attack recovers, or leak against cost along the sparsity dial.

python analysis/audit.py RUN_OR_STUDY [-o FILE]
"""

from fedmf_ray.report.audit import main

if __name__ == "__main__":
    main()
