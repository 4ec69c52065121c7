"""Directory roles, given and taken for one act, and the applications that people allowed to act for them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.demo.vendors.accounts import Grant
from keyback.demo.vendors.dynamics365 import odata, shapes
from keyback.demo.vendors.dynamics365.desk import Desk, Endpoint
from keyback.demo.vendors.dynamics365.entra import GLOBAL_ADMIN, ROLE_NAMES, Assignment
from keyback.demo.vendors.dynamics365.errors import bad_request, denied, missing

WRITE = "RoleManagement.ReadWrite.Directory"
READ = ("RoleManagement.Read.Directory", WRITE, "Directory.Read.All")
GRANTS = "DelegatedPermissionGrant.ReadWrite.All"
TYPE = "#microsoft.graph.unifiedRoleAssignment"


def endpoints(desk: Desk) -> list[tuple[str, str, Endpoint]]:
    """Path, method and what answers."""
    own, at = RoleCalls(desk), "/roleManagement/directory/roleAssignments"
    return [
        (at, "GET", own.list_assignments),
        (at, "POST", own.assign),
        (f"{at}/{{assignmentId}}", "DELETE", own.remove),
        ("/users/{id}/transitiveMemberOf/microsoft.graph.directoryRole", "GET", own.member_of),
        ("/users/{id}/oauth2PermissionGrants", "GET", own.list_grants),
        ("/oauth2PermissionGrants/{grantId}", "DELETE", own.remove_grant),
        ("/servicePrincipals/{principalId}", "GET", own.principal),
    ]


class RoleCalls:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list_assignments(self, request: Request) -> Response:
        if not self._desk.may(request, *READ):
            return denied()
        try:
            wanted = request.query_params.get("$filter", "")
            fits = odata.parse_filter(wanted, ("principalId", "roleDefinitionId"))
        except odata.BadQuery as e:
            return bad_request(str(e))
        people = [Assignment(f"u-{a.id}", a.id, GLOBAL_ADMIN) for a in self._desk.accounts if a.privileged]
        principals = dict.fromkeys(a.principal for a in self._desk.roles.all)
        wanted_ones = [p for p in principals if fits({"principalId": p}) or "principalId" not in wanted]
        rows = [_shown(a) for p in wanted_ones for a in self._desk.roles.listed(p)]
        return JSONResponse({"value": [r for r in [*rows, *map(_shown, people)] if fits(r)]})

    async def assign(self, request: Request) -> Response:
        if not self._desk.may(request, WRITE):
            return denied()
        body = request.state.body
        principal, role = body.get("principalId"), body.get("roleDefinitionId")
        if not set(body) <= {"@odata.type", "principalId", "roleDefinitionId", "directoryScopeId"}:
            return bad_request("Invalid property in the request.")
        if role not in ROLE_NAMES or not isinstance(principal, str) or body.get("directoryScopeId") != "/":
            return bad_request("The request is not a role assignment.")
        if any(a.principal == principal and a.role == role and not a.gone for a in self._desk.roles.all):
            return bad_request("A conflicting object with one or more of the specified property values is present.")
        return JSONResponse(_shown(self._desk.roles.assign(principal, role)), 201)

    async def remove(self, request: Request) -> Response:
        """A principal cannot take a role from itself."""
        if not self._desk.may(request, WRITE):
            return denied()
        id = request.path_params["assignmentId"]
        found = next((a for a in self._desk.roles.all if a.id == id and not a.gone), None)
        if found is None:
            return missing(id)
        if found.principal == request.state.app.principal:
            return bad_request("Removing self from a built-in role is not allowed.")
        self._desk.roles.remove(id)
        return Response(status_code=204)

    async def member_of(self, request: Request) -> Response:
        account = self._desk.target(request)
        if not self._desk.may(request, *READ):
            return denied()
        if account is None:
            return missing(request.path_params["id"])
        role = {
            "id": shapes.new_guid("role", 1),
            "displayName": ROLE_NAMES[GLOBAL_ADMIN],
            "roleTemplateId": GLOBAL_ADMIN,
        }
        return JSONResponse({"value": [role] if account.privileged else []})

    async def list_grants(self, request: Request) -> Response:
        account = self._desk.target(request)
        if not self._desk.may(request, "Directory.Read.All", GRANTS):
            return denied()
        if account is None:
            return missing(request.path_params["id"])
        return JSONResponse({"value": [_grant(account.id, g) for g in account.grants]})

    async def remove_grant(self, request: Request) -> Response:
        if not self._desk.may(request, GRANTS):
            return denied()
        id = request.path_params["grantId"]
        for a in self._desk.accounts:
            left = [g for g in a.grants if g.id != id]
            if len(left) < len(a.grants):
                a.grants = left
                self._desk.accounts.save()
                return Response(status_code=204)
        return missing(id)

    async def principal(self, request: Request) -> Response:
        if not self._desk.may(request, "Application.Read.All", "Directory.Read.All"):
            return denied()
        id = request.path_params["principalId"]
        for a in self._desk.accounts:
            for g in a.grants:
                if g.token == id:
                    return JSONResponse({"id": id, "appId": g.token, "displayName": g.app})
        return missing(id)


def _shown(a: Assignment) -> dict[str, Any]:
    return {
        "@odata.type": TYPE,
        "id": a.id,
        "principalId": a.principal,
        "roleDefinitionId": a.role,
        "directoryScopeId": "/",
    }


def _grant(user: str, g: Grant) -> dict[str, Any]:
    """`token` of the grant is the application's service principal."""
    return {
        "id": g.id,
        "clientId": g.token,
        "consentType": "Principal",
        "principalId": user,
        "resourceId": shapes.new_guid("graph", 1),
        "scope": g.scope,
    }
