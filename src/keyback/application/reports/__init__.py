"""Reports out of the audit log: what happened in a period, in figures that name nobody."""
