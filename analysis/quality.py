"""What quality costs: test RMSE over rounds, over protocol seconds and over bytes, a line a setting.

python analysis/quality.py STUDY... [--by model.rule,model.factors] [--to 0.86] [-o FILE]
"""

from fedmf_ray.report.quality import main

if __name__ == "__main__":
    main()
