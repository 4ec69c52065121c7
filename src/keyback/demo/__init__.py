"""`keyback demo`: a whole invented company in one process, to try everything out on."""

from keyback.demo.process import run

__all__ = ["run"]
