"""Rows of a table of budgets in Markdown: what, budget, measured, verdict. Measures nothing."""


def budget_row(what: str, found: float, limit: float, unit: str) -> str:
    """One row, without its line break.

    Args:
        what: Name of the measurement.
        found: The measurement.
        limit: The budget, the most that is allowed.
        unit: Of both, which are shown without a fraction.
    """
    verdict = "within" if found <= limit else "**above**"
    return f"| {what} | {limit:,.0f} {unit} | {found:,.0f} {unit} | {verdict} |"
