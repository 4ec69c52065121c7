"""The login doctor: what keeps people out of their systems, before a new password is set and after."""
