"""Strong and weak scaling over workers, with the ideal line.

python analysis/scaling.py STUDY... [-o FILE]
"""

from fedmf_ray.report.scaling import main

if __name__ == "__main__":
    main()
