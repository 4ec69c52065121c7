"""Campaigns: after an incident, many people are asked to renew their passwords, each by a recovery of their own."""
