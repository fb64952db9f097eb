"""tRPC 11 over HTTP, as the genuine server answers (11.25.2): batches, 207, JSON Lines, subscriptions, every error.

A plain ASGI application: the busiest road takes no framework. Differences from the genuine server are listed in
docs/adr/0010-differences-on-the-wire.md.
"""

from anamnesis.edge.trpc.app import TrpcApp
from anamnesis.edge.trpc.errors import OutputInvalid, TrpcError
from anamnesis.edge.trpc.options import TrpcOptions

__all__ = ["OutputInvalid", "TrpcApp", "TrpcError", "TrpcOptions"]
