"""The ECR emulator with the one thing it lacks: its registry demands the token, as ECR's does, and knows two others
that may do less.

python -m hypercorn --bind 127.0.0.1:PORT front:app
"""

import base64
import json

from ministack.app import app as emulator


def basic(password):
    return b"Basic " + base64.b64encode(b"AWS:" + password)


TOKEN = basic(b"ministack-auth-token")
READS = basic(b"token-of-one-who-reads")
STRANGER = basic(b"token-of-another-account")
CHALLENGE = (b"www-authenticate", b'Basic realm="https://ecr/",service="ecr.amazonaws.com"')
DENIAL = {"code": "DENIED", "message": "User: arn:aws:iam::1:user/a is not authorized to perform: ecr:Something"}


def refusal(scope):
    """Status, headers and body of what the registry says to whoever may not do this."""
    token = dict(scope["headers"]).get(b"authorization")
    may = token == TOKEN or scope["path"] == "/v2/" or (token == READS and scope["method"] in ("GET", "HEAD"))
    if token not in (TOKEN, READS, STRANGER):
        return 401, [CHALLENGE], b"Not Authorized\n"
    if not may:
        return 403, [(b"content-type", b"application/json")], json.dumps({"errors": [DENIAL]}).encode()
    return None


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"].startswith("/v2/"):
        if refused := refusal(scope):
            status, headers, body = refused
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
    await emulator(scope, receive, send)
