"""What the gates found, in words."""

from __future__ import annotations

from flows.nights.gates import STOP, WARN, Verdict

NO_VERSION = "gates: no published version yet, so there is nothing to compare with"


def remedy(verdict: Verdict) -> str:
    """What to do about a stop."""
    named = " ".join(f"--accept {gate}" for gate, state in verdict.of_gates().items() if state == STOP)
    return f"find the cause in the logs, or, if this is right, `pairwright run {named}`"


def stopped(verdict: Verdict) -> str:
    """The one line about a stop: gate, was, is, level, and what to do."""
    first, *others = verdict.having(STOP)
    more = f", and {len(others)} more (`pairwright gates`)" if others else ""
    return f"stopped against {verdict.against}: {first.line}{more}; {remedy(verdict)}"


def warned(verdict: Verdict) -> str:
    """The one line about warnings."""
    first, *others = verdict.having(WARN)
    more = f", and {len(others)} more (`pairwright gates`)" if others else ""
    return f"gates: warning: against {verdict.against}: {first.line}{more}"
