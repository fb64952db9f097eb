"""One process that sends one message many times at once. usage: python sending.py DSN SESSION KEY TIMES"""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from build import an_app, caller


async def main(dsn, session_id, key, times):
    app = an_app(dsn)
    sends = (
        caller(app, "patient").call(
            "intake.sendMessage", sessionId=session_id, content="It is about me", clientMessageId=key
        )
        for _ in range(int(times))
    )
    answers = await asyncio.gather(*sends)
    await app.database.close()
    print(json.dumps([[str(answer["userMessage"]["id"]), str(answer["aiMessage"]["id"])] for answer in answers]))


asyncio.run(main(*sys.argv[1:]))
