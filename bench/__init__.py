"""Measures Keyback against the budgets of its design: `scripts/bench`, described in docs/en/performance.md."""
