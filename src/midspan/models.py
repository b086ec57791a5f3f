"""The value types, under the module name that the seeds use."""

from midspan.core.operation import (
    Cancel,
    ErrorInfo,
    Estimate,
    Event,
    ItemCounts,
    Operation,
    OperationType,
    Owner,
    Stage,
    Status,
    Tokens,
)

__all__ = [
    "Cancel",
    "ErrorInfo",
    "Estimate",
    "Event",
    "ItemCounts",
    "Operation",
    "OperationType",
    "Owner",
    "Stage",
    "Status",
    "Tokens",
]
