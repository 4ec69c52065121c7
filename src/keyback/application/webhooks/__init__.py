"""Events for programs of the company's own: made of the audit log, posted to receivers, at least once."""
