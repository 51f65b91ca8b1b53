"""httpx, patient: a busy machine may take longer to answer than its five seconds."""

from __future__ import annotations

from functools import partial
from typing import Final

import httpx

LIMIT_S: Final = 90.0

get: Final = partial(httpx.get, timeout=LIMIT_S)
post: Final = partial(httpx.post, timeout=LIMIT_S)
put: Final = partial(httpx.put, timeout=LIMIT_S)
delete: Final = partial(httpx.delete, timeout=LIMIT_S)
request: Final = partial(httpx.request, timeout=LIMIT_S)
stream: Final = partial(httpx.stream, timeout=LIMIT_S)
