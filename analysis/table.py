"""What a round costs as a Markdown table: a row per cell of a study, means over rounds.

python analysis/table.py STUDY...
"""

from fedmf_ray.report.table import main

if __name__ == "__main__":
    main()
