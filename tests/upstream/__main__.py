"""``python -m tests.upstream --port N``: the fake upstream as a process; prints its address on one line."""

import argparse
import asyncio

from tests.upstream.api import serve


async def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted fake upstream on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    server, api = await serve(parser.parse_args().port)
    print(api.url, flush=True)
    await server.serve_forever()


asyncio.run(main())
