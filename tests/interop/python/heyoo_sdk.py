"""heyoo: an old and widely used client without types; it sends dictionaries and picks callbacks apart.

It checks no signatures, so the server in front of it does.
"""

import hmac
import json
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from heyoo import WhatsApp

import harness as h


def connect():
    """A client that talks to the simulator; heyoo keeps its addresses in public fields."""
    client = WhatsApp(h.TOKEN, phone_number_id=h.NUMBER)
    client.base_url = f"{h.URL}/v14.0"
    client.v15_base_url = f"{h.URL}/v15.0"
    client.url = f"{client.base_url}/{h.NUMBER}/messages"
    return client


def serve(received):
    """A callback server as heyoo's documentation has it, with the check of the signature it lacks."""

    class Hook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, text=""):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            query = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
            right = query.get("hub.verify_token") == h.VERIFY_TOKEN
            self.answer(200 if right else 403, query.get("hub.challenge", "") if right else "")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature = self.headers.get("X-Hub-Signature-256", "")
            if not hmac.compare_digest(signature, h.sign(body, h.SDK_SECRET)):
                return self.answer(401)
            received.add(json.loads(body))
            return self.answer(200)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/hook"


def check_sends(checks, client, inbound_id):
    user = h.USER
    sent = lambda name, kind, call: h.check_sent(checks, name, kind, lambda: call()["messages"][0]["id"])  # noqa: E731
    sent("send text with preview", "text", lambda: client.send_message("See https://shop.example/o/1", user))
    reply = sent("send reply in context", "text", lambda: client.reply_to_message(inbound_id, user, "Yes"))
    with checks("context arrives"):
        assert h.accepted(reply)["body"]["context"] == {"message_id": inbound_id}
    sent("send reaction", "reaction", lambda: client.send_reaction("👍", inbound_id, user))
    sent("send template", "template", lambda: client.send_template("hello_world", user, components=[]))
    sent("send template with components", "template", lambda: client.send_template(
        "order_update", user, lang="en_US", components=[
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]}]))
    sent("send location", "location", lambda: client.send_location(
        lat="38.9072", long="-77.0369", name="Marlow Optics", address="12 K St NW", recipient_id=user))
    sent("send image by link", "image", lambda: client.send_image("https://cdn.example/a.jpg", user))
    sent("send video by link", "video", lambda: client.send_video("https://cdn.example/a.mp4", user))
    sent("send audio by link", "audio", lambda: client.send_audio("https://cdn.example/a.ogg", user))
    sent("send document by link", "document", lambda: client.send_document("https://cdn.example/a.pdf", user))
    sent("send sticker by link", "sticker", lambda: client.send_sticker("https://cdn.example/a.webp", user))
    sent("send contacts", "contacts", lambda: client.send_contacts(
        [{"name": {"formatted_name": "Ana Ruiz", "first_name": "Ana"}, "phones": [{"phone": "+12025550177"}]}], user))
    sent("send list", "interactive", lambda: client.send_button(
        {"header": "Stores", "body": "Choose", "footer": "Open 9-18", "action": {"button": "See stores", "sections": [
            {"title": "North", "rows": [{"id": "st_1", "title": "Harbor", "description": "Pier 4"}]}]}}, user))
    sent("send reply buttons", "interactive", lambda: client.send_reply_button(
        {"type": "button", "body": {"text": "When?"}, "action": {"buttons": [
            {"type": "reply", "reply": {"id": "am", "title": "Morning"}}]}}, user))
    sent("send custom JSON", "text", lambda: client.send_custom_json(
        {"messaging_product": "whatsapp", "type": "text", "text": {"body": "Custom"}}, user))
    with checks("mark as read"):
        assert client.mark_as_read(inbound_id) == {"success": True}
    with checks("a refusal is given as the answer's error"):
        answer = client.send_template("no_such", h.USER, components=[])
        assert answer["error"]["code"] == 132001 and answer["error"]["fbtrace_id"], answer


def check_media(checks, client):
    content, _ = h.files()["document"]
    with tempfile.TemporaryDirectory() as directory:
        paper = Path(directory) / "paper.pdf"
        paper.write_bytes(content)
        with checks("upload, find, download and delete media"):
            media = client.upload_media(str(paper))["id"]
            sent = client.send_document(media, h.USER, caption="Invoice", link=False)
            assert h.accepted(sent["messages"][0]["id"])["body"]["document"]["id"] == media
            url = client.query_media_url(media)
            copy = client.download_media(url, "application/pdf", str(Path(directory) / "copy"))
            assert Path(copy).read_bytes() == content
            assert client.delete_media(media) == {"success": True}
            assert client.query_media_url(media) is None


def check_inbound(checks, client, received):
    messages = h.inbound()

    def arrives(name, holds):
        with checks(f"inbound {name}"):
            wamid = h.write(messages[name])
            data = received.expect(name, lambda data: client.get_message_id(data) == wamid)
            assert client.changed_field(data) == "messages" and client.is_message(data), data
            assert client.get_mobile(data) == h.USER, data
            assert holds(data), data

    arrives("text", lambda data: client.get_message(data) == messages["text"]["text"]["body"] and client.get_name(data))
    arrives("location", lambda data: client.get_location(data)["latitude"] == 38.9072)
    arrives("button_reply", lambda data: client.get_interactive_response(data)["button_reply"]["id"] == "slot_am")
    arrives("list_reply", lambda data: client.get_interactive_response(data)["list_reply"]["title"] == "Harbor")
    with checks("inbound image, with a file behind it"):
        wamid = h.write({"type": "image", "image": {"caption": "broken"}})
        data = received.expect("image", lambda data: client.get_message_id(data) == wamid)
        image = client.get_image(data)
        assert client.get_message_type(data) == "image" and image["mime_type"] == "image/jpeg", data
        assert client.query_media_url(image["id"]).startswith("http")
    with checks("sent, delivered and read"):
        wamid = client.send_message("Follow me", h.USER)["messages"][0]["id"]
        for status in ("sent", "delivered", "read"):
            received.expect(status, lambda data: client.get_delivery(data) == status
                            and client.preprocess(data)["statuses"][0]["id"] == wamid)


def main():
    received, checks = h.Received(), h.Checks()
    client, url = connect(), serve(received)
    with checks("verification challenge, asked by the simulator"):
        assert h.control("callback", {"url": url, "verify": True})["verified"]
    with checks.need("a person writes first"):
        inbound_id = h.write_text("Hello")
        received.expect("text", lambda data: client.get_message_id(data) == inbound_id)
    h.check_forgery_is_refused(checks, url)
    check_sends(checks, client, inbound_id)
    check_media(checks, client)
    check_inbound(checks, client, received)
    h.check_all_acknowledged(checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
