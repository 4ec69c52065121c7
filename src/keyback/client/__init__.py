"""A client for programs of a company's own: a front of its own for recoveries, on the API of a Keyback.

Imports nothing else of Keyback, only httpx2 and pydantic.
"""

from keyback.client.async_client import AsyncClient, AsyncRecovery
from keyback.client.client import Client, Recovery
from keyback.client.problem import NoAnswer, Problem

__all__ = ["AsyncClient", "AsyncRecovery", "Client", "NoAnswer", "Problem", "Recovery"]
