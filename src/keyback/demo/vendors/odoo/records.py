"""Models and methods of the Odoo stand-in: who may read and write what, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.odoo.domains import BadDomain, Row, fields_of, fits

USER, MANAGER, SYSTEM, PORTAL, SALES, HELPDESK = 1, 2, 3, 4, 7, 9
IMPLIED = {SYSTEM: (MANAGER, USER), MANAGER: (), SALES: (USER,), HELPDESK: (USER,)}
EXTERNAL_IDS = {"group_user": USER, "group_erp_manager": MANAGER, "group_system": SYSTEM, "group_portal": PORTAL}
ARGUMENTS: Mapping[str, tuple[str, ...]] = {  # in the order of the methods' signatures; all take `context` by name
    "search_read": ("domain", "fields", "offset", "limit", "order"),
    "search_count": ("domain", "limit"),
    "fields_get": ("allfields", "attributes"),
    "write": ("vals",),
    "get_password_policy": (),
    "context_get": (),
}
ON_RECORDS = {"write"}
READABLE_BY = {"ir.model.access": MANAGER, "ir.model.data": USER, "ir.model": USER}


class OdooError(Exception):
    """What Odoo raises. `name` is the exception's full name, `status` what JSON-2 answers with."""

    def __init__(self, name: str, message: str, status: int) -> None:
        super().__init__(message)
        self.name, self.message, self.status = name, message, status


def access_denied(message: str = "Access Denied") -> OdooError:
    return OdooError("odoo.exceptions.AccessDenied", message, 403)


def access_error(model: str) -> OdooError:
    text = f"You are not allowed to access '{model}' records. Contact your administrator to request access."
    return OdooError("odoo.exceptions.AccessError", text, 403)


class Database(Protocol):
    """What the models need of the stand-in."""

    accounts: Any
    clock: Callable[[], int]
    version: int
    min_length: int | None
    oauth: bool
    ldap: bool
    hr: bool
    companies: int


def groups_of(account: Account, *, implied: bool = True) -> list[int]:
    """Ids of their groups, with those that the groups bring along."""
    own = [SYSTEM] if account.privileged else list(account.extra.get("groups", [USER]))
    brought = [i for g in own for i in IMPLIED.get(g, ())] if implied else []
    return sorted({*own, *brought})


def call(db: Database, caller: Account, model: str, method: str, ids: Sequence[int], given: Mapping[str, Any]) -> Any:
    """One public method, as `caller`. Raises `OdooError`."""
    if model not in {"res.users", "res.users.log", *READABLE_BY}:
        raise OdooError("werkzeug.exceptions.NotFound", f"the model {model!r} does not exist", 404)
    known = ARGUMENTS.get(method)
    if known is None or (method == "get_password_policy" and (db.min_length is None or model != "res.users")):
        text = f"The method '{model}.{method}' does not exist"
        raise OdooError("werkzeug.exceptions.NotFound", text, 404)
    context = given.get("context") or {}
    more = {k: v for k, v in given.items() if k != "context"}
    if set(more) - set(known) or (method == "write" and "vals" not in more):
        raise OdooError("werkzeug.exceptions.UnprocessableEntity", "got an unexpected keyword argument", 422)
    if ids and method not in ON_RECORDS:
        raise OdooError("werkzeug.exceptions.UnprocessableEntity", f"cannot call {model}.{method} with ids", 422)
    needed = READABLE_BY.get(model)
    if needed and needed not in groups_of(caller):
        raise access_error(model)
    match method:
        case "context_get":
            return {"lang": "en_US", "tz": False, "uid": int(caller.id)}
        case "get_password_policy":
            return {"minlength": db.min_length}
        case "fields_get":
            names = set(user_row(db, caller)) & set(more.get("allfields") or ())
            return {n: {"type": "char"} for n in sorted(names)}
        case "write":
            return _write(db, caller, model, ids, more["vals"])
        case "search_count":
            return len(_found(db, caller, model, more, context))
        case _:
            return _read(_found(db, caller, model, more, context), more)


def _found(db: Database, caller: Account, model: str, given: Mapping[str, Any], context: Row) -> list[Row]:
    domain = list(given.get("domain") or ())
    rows = [r for r in _rows(db, caller, model) if "id" in r]
    hidden = model == "res.users" and context.get("active_test", True) and "active" not in fields_of(domain)
    try:
        return [r for r in rows if fits(r, domain) and not (hidden and not r["active"])]
    except BadDomain as e:
        raise OdooError("builtins.ValueError", str(e), 500) from None


def _read(rows: Sequence[Row], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    field, _, way = str(given.get("order") or "id").partition(" ")
    ordered = sorted(rows, key=lambda r: r[field], reverse=way.strip() == "desc")
    start, limit = int(given.get("offset") or 0), given.get("limit")
    part = ordered[start : start + int(limit)] if limit else ordered[start:]
    wanted = list(given.get("fields") or ())
    for name in wanted:
        if part and name not in part[0]:
            raise OdooError("builtins.ValueError", f"Invalid field {name!r} on model", 500)
    return [{"id": r["id"], **{n: r[n] for n in wanted or r if "." not in n}} for r in part]


def _write(db: Database, caller: Account, model: str, ids: Sequence[int], vals: Mapping[str, Any]) -> bool:
    if model != "res.users" or MANAGER not in groups_of(caller):
        raise access_error(model)
    targets = [db.accounts.get(str(i)) for i in ids]
    if None in targets or not targets:
        raise OdooError("odoo.exceptions.MissingError", "Record does not exist or has been deleted.", 404)
    if set(vals) - {"password", "active", "login"}:
        raise OdooError("builtins.ValueError", "Invalid field in vals", 500)
    for a in targets:
        if "password" in vals:
            password = str(vals["password"])
            if db.min_length and password and len(password) < db.min_length:
                text = f"Passwords must have at least {db.min_length} characters, got {len(password)}."
                raise OdooError("odoo.exceptions.UserError", text, 422)
            a.set_password(password, db.clock())  # an empty one too: base has no rule
            a.sessions = []  # their tokens were made from the old hash
        if "active" in vals:
            a.active = bool(vals["active"])
        a.username = str(vals.get("login", a.username))
    db.accounts.save()
    return True


def _rows(db: Database, caller: Account, model: str) -> list[Row]:
    match model:
        case "res.users":
            seen = set(range(1, caller.extra.get("companies", db.companies) + 1))
            return [user_row(db, a) for a in db.accounts if set(_companies(db, a)) & seen]
        case "res.users.log":
            return [
                {"id": n, "create_uid": int(a.id), "create_date": stamp(s.at)}
                for a in db.accounts
                for n, s in enumerate(a.sign_ins, int(a.id) * 1000)
                if s.status == "Success"
            ]
        case "ir.model.data":
            return [
                {"id": g, "module": "base", "model": "res.groups", "name": n, "res_id": g}
                for n, g in EXTERNAL_IDS.items()
            ]
        case "ir.model.access":
            rights = [("res.users", MANAGER), ("res.groups", MANAGER), ("ir.model.access", MANAGER)]
            rights += [("res.users", HELPDESK)] if any(HELPDESK in groups_of(a) for a in db.accounts) else []
            return [
                {"id": n, "model_id.model": m, "group_id": [g, "group"], "perm_write": True, "perm_create": False}
                | {"active": True}
                for n, (m, g) in enumerate(rights, 1)
            ]
        case _:
            names = ["res.users", *(["res.company.ldap"] if db.ldap else []), *READABLE_BY]
            return [{"id": n, "model": m} for n, m in enumerate(names, 1)]


def user_row(db: Database, a: Account) -> Row:
    """Somebody as `res.users` shows them: absent values are false, and the password never shows."""
    ins = [s.at for s in a.sign_ins if s.status == "Success"]
    row = {
        "id": int(a.id),
        "login": a.username,
        "email": a.mail or False,
        "name": a.name,
        "active": a.active,
        "share": False,
        "password": "",
        "login_date": stamp(max(ins)) if ins else False,
        "company_ids": _companies(db, a),
        "companies_count": db.companies,
        "phone": False,
    }
    if db.hr:
        row["mobile_phone"] = a.extra.get("work_mobile", False)
        row["department_id"] = [7, a.extra["department"]] if "department" in a.extra else False
    if db.version >= 19:  # contacts have one number left
        row |= {"group_ids": groups_of(a, implied=False), "all_group_ids": groups_of(a)}
    else:
        row |= {"groups_id": groups_of(a), "mobile": a.mobile or False}
    if db.oauth:
        row["oauth_uid"] = a.provider or False
    return row


def _companies(db: Database, a: Account) -> list[int]:
    return list(range(1, a.extra.get("companies", db.companies) + 1))


def stamp(ms: int) -> str:
    """UTC without a zone, as Odoo writes instants."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
