"""Answers to questions: friction, never proof."""
