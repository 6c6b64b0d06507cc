"""What a round costs over a swept key: seconds or bytes, one line per combination of the other keys.

python analysis/cost.py STUDY... [--over KEY] [--column protocol_s] [--published] [-o FILE]
"""

from fedmf_ray.report.cost import main

if __name__ == "__main__":
    main()
