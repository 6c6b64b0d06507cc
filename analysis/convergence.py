"""Loss over rounds, any number of runs on one axis.

python analysis/convergence.py RUN... [-o FILE]
"""

from fedmf_ray.report.convergence import main

if __name__ == "__main__":
    main()
