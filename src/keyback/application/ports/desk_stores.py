"""The stores of the help desk, which every transaction has (`storage.Tx`)."""

from __future__ import annotations

from typing import Protocol

from keyback.application.ports.api_keys import ApiKeys
from keyback.application.ports.calls import Calls
from keyback.application.ports.campaigns import Campaigns
from keyback.application.ports.desk_actions import Actions
from keyback.application.ports.desk_storage import Desk, Operators
from keyback.application.ports.documents import Documents
from keyback.application.ports.groups import Groups
from keyback.application.ports.help_requests import HelpRequests
from keyback.application.ports.identity import IdentityChecks
from keyback.application.ports.photos import Photos
from keyback.application.ports.reports import Reports
from keyback.application.ports.siem import SiemStore
from keyback.application.ports.system_states import SystemStates
from keyback.application.ports.tasks import Tasks
from keyback.application.ports.webhooks import Webhooks


class DeskStores(Protocol):
    """What operators and administrators work with."""

    @property
    def tasks(self) -> Tasks: ...
    @property
    def operators(self) -> Operators: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def calls(self) -> Calls: ...
    @property
    def help_requests(self) -> HelpRequests: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def campaigns(self) -> Campaigns: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def actions(self) -> Actions: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def photos(self) -> Photos: ...
    @property
    def identity(self) -> IdentityChecks: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def siem(self) -> SiemStore: ...
    @property
    def system_states(self) -> SystemStates: ...
