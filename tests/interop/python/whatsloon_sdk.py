"""whatsloon: typed messages over httpx, its own callback router that verifies, parses and drops duplicates. Over https."""

import sys

from fastapi import FastAPI
from whatsloon import WhatsApp
from whatsloon.config.settings import RetryConfig
from whatsloon.exceptions import AuthenticationError, ServerError, ValidationAPIError
from whatsloon.messages import models as m
from whatsloon.persistence import InMemoryEventRepository
from whatsloon.templates.models import TemplateSpec
from whatsloon.webhooks import EventRouter, WebhookProcessor
from whatsloon.webhooks.fastapi import create_webhook_router

import harness as h

LINK = "https://cdn.example/file"
CONTACT = {"name": {"formatted_name": "Ana Ruiz", "first_name": "Ana"}, "phones": [{"phone": "+12025550177"}]}
PARAMETERS = [{"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]


def client_with(token=h.TOKEN):
    return WhatsApp(token, h.NUMBER, base_url=h.SDK_URL, retry=RetryConfig(max_attempts=1))


def serve(received):
    """The SDK's own router, whose handlers keep what they are given; what it does not know is kept too."""
    router = EventRouter()
    router.set_fallback(received.add)
    processor = WebhookProcessor(router=router, events=InMemoryEventRepository())
    app = FastAPI()
    app.include_router(create_webhook_router(
        processor, app_secret=h.SDK_SECRET, verify_token=h.VERIFY_TOKEN, path="/hook"))
    return h.serve_asgi(app) + "/hook"


def check_sends(checks, client, inbound_id):
    def sent(name, kind, content, **more):
        envelope = m.OutboundMessage(to=h.USER, content=content, **more)
        return h.check_sent(checks, name, kind, lambda: client.messages.send(envelope).message_id)

    reply = sent("send reply with preview and opaque data", "text", m.TextMessage(body="See https://shop.example/o/1"),
                 reply_to_message_id=inbound_id, biz_opaque_callback_data="opaque-1")
    with checks("context and opaque data arrive"):
        body = h.accepted(reply)["body"]
        assert body["context"]["message_id"] == inbound_id and body["biz_opaque_callback_data"] == "opaque-1", body
    for kind, model in (("image", m.ImageMessage), ("video", m.VideoMessage), ("audio", m.AudioMessage),
                        ("document", m.DocumentMessage), ("sticker", m.StickerMessage)):
        sent(f"send {kind} by link", kind, model(media_link=LINK))
    sent("send reaction", "reaction", m.ReactionMessage(message_id=inbound_id, emoji="👍"))
    sent("send location", "location", m.LocationMessage(latitude=38.9072, longitude=-77.0369, name="Marlow Optics"))
    sent("send contacts", "contacts", m.ContactsMessage(contacts=[CONTACT]))
    sent("send template", "template", m.TemplateMessage(
        template_name="order_update", language_code="en_US", components=[{"type": "body", "parameters": PARAMETERS}]))
    sent("send list", "interactive", m.ListMessage(
        body_text="Choose", button_text="See stores", footer_text="Open 9-18", header={"type": "text", "text": "Stores"},
        sections=[{"title": "North", "rows": [{"id": "st_1", "title": "Harbor", "description": "Pier 4"}]}]))
    sent("send reply buttons", "interactive", m.ReplyButtonsMessage(
        body_text="When?", buttons=[m.ReplyButton(id="am", title="Morning"), m.ReplyButton(id="pm", title="Afternoon")]))
    sent("send call-to-action URL", "interactive", m.CTAMessage(
        body_text="Track it", button_text="Track", button_url="https://shop.example/t/9"))
    sent("send flow", "interactive", m.FlowMessage(
        flow_token="ft-7781", flow_id="9011", flow_cta="Book", flow_action="navigate", body_text="Book",
        flow_action_payload={"screen": "SLOT"}))
    sent("send address request", "interactive", m.AddressMessage(body="Where to?", country_iso_code="IN"))
    sent("send location request", "interactive", m.LocationRequestMessage(body_text="Where are you?"))
    with checks("mark as read, with and without typing"):
        assert client.messages.send_typing(message_id=inbound_id).raw == {"success": True}
        assert client.messages.mark_read(message_id=inbound_id).raw == {"success": True}


def check_media(checks, client):
    content, mime = h.files()["image"]
    with checks("upload, find, download, send and delete media"):
        media = client.media.upload_bytes(content, mime, filename="picture.jpg").media_id
        info = client.media.get_url(media)
        assert info.url.startswith("https://") and info.file_size == len(content), info
        assert client.media.download(media).content == content
        result = client.messages.send_image(to=h.USER, media_id=media, caption="Left view")
        assert h.accepted(result.message_id)["body"]["image"]["id"] == media
        assert client.media.delete(media) is True


def check_management(checks, client):
    with checks("list, create and delete templates"):
        spec = TemplateSpec(name="thanks", language="en_US", components=[{"type": "BODY", "text": "Thank you!"}])
        assert client.templates.create_template(h.ACCOUNT, spec).status == "PENDING"
        assert "thanks" in [template.name for template in client.templates.list_templates(h.ACCOUNT)]
        assert client.templates.delete_template(h.ACCOUNT, "thanks") is True
    with checks("account and numbers"):
        assert client.business.get_account(h.ACCOUNT).id == h.ACCOUNT
        assert [number.id for number in client.business.list_phone_numbers(h.ACCOUNT)] == [h.NUMBER]
        assert client.business.get_phone_number(h.NUMBER).quality_rating == "GREEN"
    with checks("register the number"):
        assert client.business.register_phone(h.NUMBER, "123456") is True


def check_refusals(checks, client):
    def raises(name, kind, code, call):
        with checks(f"refusal: {name}"):
            try:
                call()
            except kind as error:
                assert error.code == code, repr(error)
            else:
                raise AssertionError("nothing was raised")

    raises("unknown template", ValidationAPIError, 132001, lambda: client.messages.send_template(
        to=h.USER, template_name="no_such", language_code="en_US"))
    raises("bad token", AuthenticationError, 190, lambda: client_with("no-such-token").send_text(to=h.USER, body="x"))
    h.control("faults", {"kind": "graph_error", "code": 131000, "next": 1})
    raises("something went wrong", ServerError, 131000, lambda: client.send_text(to=h.USER, body="x"))


def check_inbound(checks, client, received):
    for name, message in h.inbound().items():
        with checks(f"inbound {name}"):
            wamid = h.write(message)
            event = received.expect(name, lambda event: event.message_id == wamid)
            assert event.event_type == "message.received" and event.message_type == message["type"], event
            assert event.sender == h.USER and event.recipient_phone_id == h.NUMBER, event
            assert event.text_body == message.get("text", {}).get("body"), event
    with checks("inbound image, with a file behind it"):
        wamid = h.write({"type": "image", "image": {"caption": "broken"}})
        image = received.expect("image", lambda event: event.message_id == wamid).raw["image"]
        assert client.media.download(image["id"]).mime_type == image["mime_type"] == "image/jpeg"
    with checks("sent, delivered and read"):
        wamid = client.send_text(to=h.USER, body="Follow me").message_id
        for status in ("sent", "delivered", "read"):
            event = received.expect(status, lambda event: event.message_id == wamid and event.status == status)
            assert event.event_type == "message.status" and event.recipient == h.USER, event
    with checks("nothing came that the SDK does not know"):
        unknown = [event.reason for event in received.all() if event.event_type == "unknown"]
        assert not unknown, unknown


def main():
    received, checks = h.Received(), h.Checks()
    client, url = client_with(), serve(received)
    with checks("verification challenge, asked by the simulator"):
        assert h.control("callback", {"url": url, "verify": True})["verified"]
    with checks.need("a person writes first"):
        inbound_id = h.write_text("Hello")
        received.expect("text", lambda event: event.message_id == inbound_id)
    h.check_forgery_is_refused(checks, url)
    check_sends(checks, client, inbound_id)
    check_media(checks, client)
    check_management(checks, client)
    check_refusals(checks, client)
    check_inbound(checks, client, received)
    h.check_all_acknowledged(checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
