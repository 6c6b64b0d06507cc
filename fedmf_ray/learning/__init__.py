"""The mathematics of matrix factorisation on NumPy arrays: update rules, baselines, measures."""
