"""What makes a password a good one."""
