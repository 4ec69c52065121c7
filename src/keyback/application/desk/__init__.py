"""The help desk: operators, their sign-in, the queue, the work on a case, and approvals."""
