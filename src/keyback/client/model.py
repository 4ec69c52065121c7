"""What every answer has in common: it cannot be changed, and members of a later Keyback are left out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
