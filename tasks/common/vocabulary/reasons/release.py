"""Why `release` drops a row: it drops none. A row that breaks a rule of its suites stops it."""

from __future__ import annotations

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

REASONS: Reasons = declare("release", {})
