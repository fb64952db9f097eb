"""Blobs in a bucket that speaks S3's protocol; loaded only where an operator names one."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from anamnesis.kernel.errors import Unavailable


@dataclass(frozen=True, slots=True)
class S3Blobs:
    """A bucket, addressed by path. A blob is there when the store has acknowledged it."""

    endpoint: str
    bucket: str
    region: str
    key_id: str
    secret_key: str = field(repr=False)
    timeout_s: int = 20
    _store: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Nothing is connected yet."""
        store = S3Store(
            self.bucket,
            endpoint=self.endpoint,
            region=self.region,
            access_key_id=self.key_id,
            secret_access_key=self.secret_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(seconds=self.timeout_s)},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=self.timeout_s)},
        )
        object.__setattr__(self, "_store", store)

    async def put(self, key: str, content: bytes) -> None:
        """Keep a blob. Raises Unavailable."""
        try:
            await obstore.put_async(self._store, key, content, use_multipart=False)
        except (BaseError, OSError) as failed:
            raise Unavailable("files") from failed

    async def get(self, key: str) -> bytes:
        """A blob. Raises FileNotFoundError, Unavailable."""
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            raise FileNotFoundError from None
        except (BaseError, OSError) as failed:
            raise Unavailable("files") from failed

    async def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is deleted. Raises Unavailable."""
        try:
            await obstore.delete_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as failed:
            raise Unavailable("files") from failed

    async def sweep(self, older_than_s: float) -> None:
        """Nothing is ever left unfinished: the store keeps an object whole or not at all."""
