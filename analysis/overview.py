"""Quality, cost and protection in one picture: what the README leads with.

python analysis/overview.py --quality BENCH.csv --study STUDY --audit "NAME=FOLDER[:KEY=VALUE]"... [-o FILE]

BENCH.csv is what `benchmarks/quality.py -o` writes, STUDY a sweep of scenarios/quality-vs-cost.yaml, and each
FOLDER a run or study that `fedmf-ray audit` has scored; of a study, KEY=VALUE picks a cell. The worst attack
on each is shown.
"""

from fedmf_ray.report.overview import main

if __name__ == "__main__":
    main()
