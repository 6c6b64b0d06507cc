"""From a file of ratings to a list with titles: python examples/own_data.py"""

from pathlib import Path

import pandas as pd

import fedmf_ray

here = Path(__file__).parent
ratings = pd.read_csv(here / "teas.csv")  # user, item, rating: text ids, a scale from 1 to 10
titles = pd.read_csv(here / "tea_titles.csv")  # item, title
run = fedmf_ray.run(here / "own_data.yaml", ratings=ratings, titles=titles)
print(f"test RMSE {run.rmse():.2f} on a scale from 1 to 10")
print(run.recommend("nora-07", n=5).to_string(index=False))
