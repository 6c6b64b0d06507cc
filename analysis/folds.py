"""Test errors as means and standard deviations over folds, in Markdown: a row per setting of a study.

python analysis/folds.py STUDY... [--after 2,10,25] [--column test_rmse]
"""

from fedmf_ray.report.folds import main

if __name__ == "__main__":
    main()
