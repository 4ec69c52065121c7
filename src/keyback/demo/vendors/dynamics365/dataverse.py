"""Dataverse's systemusers: who is in the CRM, by which name, and whether they are disabled there."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.demo.vendors.dynamics365 import odata, shapes
from keyback.demo.vendors.dynamics365.desk import Desk, Endpoint

CRM_ADMIN = "627090ff-40a3-4053-8790-584edc5be201"  # template of the role System Administrator
NO_MEMBER = ("0x80072560", "The user is not a member of the organization.")
NO_PRIVILEGE = ("0x80040220", "Principal user is missing prvWriteUser privilege on OTC=8 for entity 'systemuser'.")


def endpoints(desk: Desk) -> list[tuple[str, str, Endpoint]]:
    """Path, method and what answers."""

    async def who_am_i(request: Request) -> Response:
        app = request.state.app
        return _refused(request) or JSONResponse(
            {"BusinessUnitId": shapes.new_guid("unit", 1), "UserId": app.principal, "OrganizationId": desk_id()}
        )

    async def systemusers(request: Request) -> Response:
        q = request.query_params
        refused = _refused(request)
        if refused:
            return refused
        try:
            fits = odata.parse_filter(q.get("$filter", ""), shapes.SYSTEMUSER)
            members = (a for a in desk.accounts if not a.extra.get("no_member"))
            rows = [r for r in map(shapes.systemuser, members) if fits(r)]
            shown = [
                odata.picked(r, _with_id(q.get("$select", "")), shapes.SYSTEMUSER, shapes.SYSTEMUSER) for r in rows
            ]
        except odata.BadQuery as e:
            return _error(400, "0x80060888", str(e))
        return JSONResponse({"value": shown[: int(q.get("$top", "5000"))]})

    async def roles(request: Request) -> Response:
        """Security roles of one person; `crm_admin` in what is kept of them makes a System Administrator."""
        refused = _refused(request)
        if refused:
            return refused
        account = desk.accounts.first(lambda a: shapes.systemuser_id(a) == request.path_params["id"])
        if account is None:
            return _error(404, *_absent(request))
        held = CRM_ADMIN if account.extra.get("crm_admin") else shapes.new_guid("template", 2)
        row = {"roleid": shapes.new_guid("crm role", 1), "_roletemplateid_value": held}
        return JSONResponse({"value": [row]})

    async def disable(request: Request) -> Response:
        refused = _refused(request)
        if refused:
            return refused
        if not request.state.app.dataverse_writes:
            return _error(403, *NO_PRIVILEGE)
        account = desk.accounts.first(lambda a: shapes.systemuser_id(a) == request.path_params["id"])
        if account is None:
            return _error(404, *_absent(request))
        body: dict[str, Any] = request.state.body
        if set(body) != {"isdisabled"} or not isinstance(body["isdisabled"], bool):
            return _error(
                400, "0x80048d19", "Error identified in Payload provided by the user for Entity :'systemusers'"
            )
        account.extra["crm_disabled"] = body["isdisabled"]
        desk.accounts.save()
        return Response(status_code=204)

    return [
        ("/WhoAmI", "GET", who_am_i),
        ("/systemusers", "GET", systemusers),
        ("/systemusers({id})", "PATCH", disable),
        ("/systemusers({id})/systemuserroles_association", "GET", roles),
    ]


def throttled(retry_after: int) -> Response:
    text = "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
    response = _error(429, "0x80072322", text)
    response.headers["retry-after"] = str(retry_after)
    return response


def desk_id() -> str:
    return shapes.new_guid("organization", 1)


def _absent(request: Request) -> tuple[str, str]:
    return "0x80040217", f"systemuser With Id = {request.path_params['id']} Does Not Exist"


def _with_id(select: str) -> str:
    """Dataverse gives the key whether it was asked for or not."""
    return f"systemuserid,{select}" if select else ""


def _refused(request: Request) -> Response | None:
    return None if request.state.app.dataverse else _error(403, *NO_MEMBER)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
