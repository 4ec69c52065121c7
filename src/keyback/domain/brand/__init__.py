"""The face of the company that hosts: its color, its pictures, its own texts."""
