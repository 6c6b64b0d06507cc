"""What the sections of a scenario ask of each other: which rule can run so, and be measured so."""

from __future__ import annotations

from fedmf_ray.learning.rules import Rule


def rule_problem(rule: Rule, rounds: int, early: bool, min_raters: int, popularity: float) -> str | None:
    """Why a rule cannot run for so many rounds, with lists sorted by so many stars for popularity, in words
    that name keys; None if it can. early: it may end before."""
    if rule.census and rounds < 2:
        return (
            f"stop.rounds: rule {rule.name} needs 2 or more: the first is a census, in which raters are "
            "counted and nothing is learned"
        )
    problem = rule.too_short(rounds, early)
    if problem:
        return f"model.{problem}"
    if popularity and not rule.predicts:
        return f"metrics.popularity: is in stars, and the scores of rule {rule.name} are not: set it to 0"
    if popularity and not (min_raters > 1 or rule.counts):
        return (
            f"metrics.popularity: rule {rule.name} does not count raters: set it to 0, "
            "or protocol.min_raters above 1, or model.rule to ridge"
        )
    return None


def rated_problem(rule: Rule, watches_change: bool) -> str | None:
    """Why users of a rule must open all of V, in words that name keys; None if those rows do that they
    rated. watches_change: a run ends when V changes little."""
    if not rule.reads_rated:
        return f"protocol.reading: rule {rule.name} needs all of V: set it to all"
    if watches_change:
        return "stop.tolerance: the change of V is that of all rows: set protocol.reading to all"
    return None


def rule_warning(rule: Rule, rounds: int) -> str | None:
    """One line if so many rounds of a rule tell more than its readers should know."""
    if rule.census and rounds > 2:
        return (
            f"rule {rule.name} publishes sums in every round after the census: where a user is absent in one "
            "of them, their difference is what that user likes: set stop.rounds to 2"
        )
    return None
