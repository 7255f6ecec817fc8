"""What every Python program here needs: the simulator's control API, the record of checks, a place for callbacks.

The runner gives the simulator's address and names in the environment. One line goes out for each check; the last
line says how many there were, so that a program that ends early is noticed.
"""

import hashlib
import hmac
import json
import os
import pathlib
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = pathlib.Path(os.environ["INTEROP_ROOT"])
CHALLENGE_TIMEOUT_S = 10
EXPECT_TIMEOUT_S = float(os.environ.get("INTEROP_EXPECT_TIMEOUT_S", "15"))
EXPECT_STEP_S = 0.02

URL = os.environ["INTEROP_URL"]
# Where the SDK finds the simulator: perhaps over https, with its authority in the environment.
SDK_URL = os.environ["INTEROP_SDK_URL"]
TOKEN = os.environ["INTEROP_TOKEN"]
APP_ID = os.environ["INTEROP_APP_ID"]
APP_SECRET = os.environ["INTEROP_APP_SECRET"]
VERIFY_TOKEN = os.environ["INTEROP_VERIFY_TOKEN"]
ACCOUNT = os.environ["INTEROP_WABA_ID"]
NUMBER = os.environ["INTEROP_PHONE_NUMBER_ID"]
# The secret the SDK is given: another one when the runner proves that these programs can fail.
SDK_SECRET = os.environ.get("INTEROP_SDK_SECRET", APP_SECRET)

USER = "12025550142"
# Is not on WhatsApp; the programs tell the simulator so.
ABSENT_USER = "12025550143"
OTHER_USER = "12025550144"
# Never wrote, so the customer service window is closed.
SILENT_USER = "12025550145"


class ControlError(Exception):
    """The control API refused a call: the program is wrong, not the SDK."""


def control(path, body=None, method=None):
    """Calls the simulator's control API and gives the parsed answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_sim/{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ControlError(f"{path}: {error.code} {error.read().decode()[:300]}") from error


def write(message, user=USER):
    """A person writes a message of any kind to the business; gives its wamid."""
    return control(f"users/{user}/write", {"message": message})["wamid"]


def write_text(text, user=USER):
    """A person writes a text to the business; gives its wamid."""
    return control(f"users/{user}/write", {"text": text})["wamid"]


def accepted(wamid):
    """What the simulator accepted under this id, with its JSON body."""
    for message in control("accepted?bodies=true&limit=1000")["data"]:
        if message["wamid"] == wamid:
            return message
    raise AssertionError(f"the simulator accepted nothing under {wamid}")


def inbound():
    """Messages people write, of every kind, by name."""
    return json.loads((ROOT / "tests" / "interop" / "inbound.json").read_text())


def files():
    """Small real media files of the simulator, by message type: bytes and MIME type."""
    assets = ROOT / "services" / "simulator" / "assets"
    names = {
        "image": ("picture.jpg", "image/jpeg"), "video": ("film.mp4", "video/mp4"), "audio": ("voice.ogg", "audio/ogg"),
        "voice": ("voice.ogg", "audio/ogg"), "document": ("paper.pdf", "application/pdf"),
        "sticker": ("sticker.webp", "image/webp"),
    }
    return {kind: ((assets / name).read_bytes(), mime) for kind, (name, mime) in names.items()}


def sign(body, secret):
    """The X-Hub-Signature-256 of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(url, body, headers):
    """Posts bytes and gives the HTTP status, also of a refusal."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def get(url, **query):
    """Gets a URL: HTTP status and body, also of a refusal."""
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Received:
    """What the SDK understood of the callbacks, in the order it understood it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._items = []

    def add(self, item):
        """Keeps what a handler of the SDK was given."""
        with self._lock:
            self._items.append(item)

    def all(self):
        """Everything so far."""
        with self._lock:
            return list(self._items)

    def expect(self, what, holds):
        """Waits for something that fulfils the condition, and gives it."""
        deadline = time.monotonic() + EXPECT_TIMEOUT_S
        while time.monotonic() < deadline:
            for item in self.all():
                try:
                    if holds(item):
                        return item
                except (AttributeError, KeyError, TypeError, IndexError):
                    continue
            time.sleep(EXPECT_STEP_S)
        raise AssertionError(f"no {what} came in {EXPECT_TIMEOUT_S} s; {len(self.all())} other updates did")


class Checks:
    """The record of checks; each is a `with` block that fails by an exception."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def __call__(self, name):
        return _Check(self, name)

    def need(self, name):
        """A check without which the others have no sense: if it fails, the program ends here."""
        return _Check(self, name, needed=True)

    def end(self):
        """Says how many there were, and gives the exit status."""
        print(f"done\t{self.passed + self.failed}", flush=True)
        return 1 if self.failed else 0


class _Check:
    def __init__(self, checks, name, needed=False):
        self.checks = checks
        self.name = name
        self.needed = needed

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            self.checks.passed += 1
            print(f"ok\t{self.name}", flush=True)
            return True
        if not issubclass(kind, Exception):
            return False
        self.checks.failed += 1
        while trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename.startswith(str(HERE)):
            trace = trace.tb_next
        reason = f"{kind.__name__}: {error}".replace("\n", " ")[:400]
        print(f"FAILED\t{self.name}\tline {trace.tb_lineno}: {reason}", flush=True)
        if self.needed:
            sys.exit(self.checks.end())
        return True


def free_socket():
    """A listening socket on a free loopback port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def serve_asgi(app):
    """Runs an ASGI app in a thread and gives its URL."""
    import uvicorn

    listener = free_socket()
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + CHALLENGE_TIMEOUT_S
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the SDK's callback server did not start")
        time.sleep(EXPECT_STEP_S)
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def check_sent(checks, name, kind, send):
    """A send of this kind: the SDK understands the answer, and the simulator accepted just that. Gives the wamid."""
    with checks(name):
        wamid = send()
        assert isinstance(wamid, str) and wamid.startswith("wamid."), f"the SDK gives {wamid!r} as the message's id"
        assert accepted(wamid)["type"] == kind, f"accepted as {accepted(wamid)['type']}"
        return wamid


def check_forgery_is_refused(checks, callback_url):
    """The SDK's server takes a body with the right signature and refuses wrong, missing and re-encoded ones."""
    body = json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": []}], "note": "é"}
    ).encode()
    with checks("callback with a wrong signature is refused"):
        status = post(callback_url, body, {"X-Hub-Signature-256": sign(body, "not the secret")})
        assert status >= 400, f"answered {status}"
    with checks("callback whose body was re-encoded is refused"):
        status = post(callback_url, json.dumps(json.loads(body), ensure_ascii=False).encode(),
                      {"X-Hub-Signature-256": sign(body, APP_SECRET)})
        assert status >= 400, f"answered {status}"
    with checks("callback without a signature is refused"):
        status = post(callback_url, body, {})
        assert status >= 400, f"answered {status}"
    with checks("the simulator's own bad signature is refused, its retry is taken"):
        before = control("summary")["callbacks"]
        control("faults", {"kind": "bad_signature", "next": 1})
        write_text("Signed badly at first", OTHER_USER)
        counts = control("wait?idle=true&timeout_ms=15000")["callbacks"]
        control("faults", method="DELETE")
        assert counts["refused"] == before["refused"] + 1 and counts["dropped"] == 0, counts


def check_all_acknowledged(checks):
    """At the end nothing is under way and the SDK's server took every callback."""
    with checks("every callback was acknowledged"):
        report = control("wait?idle=true&timeout_ms=20000")
        counts = report["callbacks"]
        assert counts["acknowledged"] > 0 and counts["dropped"] == 0, counts
