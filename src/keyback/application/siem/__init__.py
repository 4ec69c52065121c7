"""The audit log as a stream for the company's SIEM: every row, in order, over one connection."""
