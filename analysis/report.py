"""One page about a run or a study: pictures, tables, the scenario, the machine. Opens without network.

python analysis/report.py RUN_OR_STUDY [-o FILE]
"""

from fedmf_ray.report.report import main

if __name__ == "__main__":
    main()
