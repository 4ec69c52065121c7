"""The API, version 1: FastAPI under `/api/v1`, OpenAPI 3.1, RFC 9457 problems."""

from __future__ import annotations

from fastapi import FastAPI

from keyback.web.context import Desk


def make_api(desk: Desk | None) -> FastAPI:
    """The API application; without a desk only its description is of use."""
    api = FastAPI(title="Keyback", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    api.state.desk = desk
    return api
