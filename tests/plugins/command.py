"""A processor as a command: it may be in any language, and knows nothing of Headrace but the JSON."""

import base64
import json
import pathlib
import sys

asked = json.loads(sys.stdin.readline())
body = pathlib.Path(asked["path"]).read_bytes()
folder = pathlib.Path(asked["folder"])


def say(**message):
    print(json.dumps(message), flush=True)


if body == b"crash":
    sys.exit("it fell over")
if body == b"unsupported":
    say(unsupported=True)
elif body == b"failed":
    say(failed={"code": "malformed", "detail": "as it says"})
elif body == b"nonsense":
    say(extracted={"pages": "many"})
elif body == b"no json":
    print("no json")
else:
    say(progress={"done": 1, "total": 2, "unit": "words"})
    (folder / "text.txt").write_text(body.decode().upper())
    (folder / "thumbnail.webp").write_bytes(base64.b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"))
    say(warning={"code": "no_text", "message": f"from {asked['filename']} as {asked['media_type']}"})
    say(extracted={"pages": 1, "details": {"schema": asked["schema"], "options": asked["options"], "pixels": asked["limits"]["pixels"]}})
