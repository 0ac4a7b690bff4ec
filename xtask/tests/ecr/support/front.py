"""The ECR emulator with the one thing it lacks: its registry demands the token, as ECR's does.

python -m hypercorn --bind 127.0.0.1:PORT front:app
"""

import base64

from ministack.app import app as emulator

TOKEN = b"Basic " + base64.b64encode(b"AWS:ministack-auth-token")


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"].startswith("/v2/"):
        if dict(scope["headers"]).get(b"authorization") != TOKEN:
            headers = [(b"www-authenticate", b'Basic realm="https://ecr/",service="ecr.amazonaws.com"')]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"Not Authorized\n"})
            return
    await emulator(scope, receive, send)
