"""Kapso's Python SDK: asynchronous, answers as pydantic models, webhooks verified and normalised."""

import asyncio
import sys

from fastapi import FastAPI, Request, Response
from kapso_whatsapp import (
    AuthenticationError, ValidationError, WhatsAppAPIError, WhatsAppClient, build_template_definition,
    build_template_send_payload,
)
from kapso_whatsapp.exceptions import NotFoundError
from kapso_whatsapp.webhooks import normalize_webhook, verify_signature

import harness as h

NUMBER = {"phone_number_id": h.NUMBER}
TO = {**NUMBER, "to": f"+{h.USER}"}


def client_with(token=h.TOKEN):
    return WhatsAppClient(access_token=token, base_url=h.URL, max_retries=0)


def serve(received):
    """A callback server as the SDK's documentation has it: it verifies, then normalises."""
    app = FastAPI()

    @app.get("/hook")
    def challenge(request: Request):
        query = request.query_params
        right = query.get("hub.verify_token") == h.VERIFY_TOKEN
        return Response(query.get("hub.challenge") if right else "", 200 if right else 403)

    @app.post("/hook")
    async def notify(request: Request):
        body = await request.body()
        signature = request.headers.get("X-Hub-Signature-256")
        if not verify_signature(app_secret=h.SDK_SECRET, raw_body=body, signature_header=signature):
            return Response(status_code=401)
        received.add(normalize_webhook(body.decode()))
        return Response()

    return h.serve_asgi(app) + "/hook"


class Program:
    """The checks, over one client in one event loop."""

    def __init__(self, checks, received):
        self.checks = checks
        self.received = received
        self.loop = asyncio.new_event_loop()
        self.client = client_with()

    def run(self, call):
        return self.loop.run_until_complete(call)

    def sent(self, name, kind, call):
        return h.check_sent(self.checks, name, kind, lambda: self.run(call()).message_id)

    def message(self, wamid):
        event = self.received.expect("message", lambda event: event.messages[0]["id"] == wamid)
        return event.messages[0]

    def sends(self, inbound_id):
        m = self.client.messages
        self.sent("send text with preview", "text",
                  lambda: m.send_text(**TO, body="See https://shop.example/o/1", preview_url=True))
        reply = self.sent("send reply in context", "text", lambda: m.send_text(
            **TO, body="Yes", context={"message_id": inbound_id}, biz_opaque_callback_data="opaque-1"))
        with self.checks("context and opaque data arrive"):
            body = h.accepted(reply)["body"]
            assert (body["context"], body["biz_opaque_callback_data"]) == ({"message_id": inbound_id}, "opaque-1")
        for kind in ("image", "video", "audio", "document", "sticker"):
            self.sent(f"send {kind} by link", kind,
                      lambda: getattr(m, f"send_{kind}")(**TO, **{kind: {"link": f"https://cdn.example/{kind}"}}))
        self.sent("send location", "location",
                  lambda: m.send_location(**TO, location={"latitude": 38.9, "longitude": -77.0, "name": "Marlow"}))
        self.sent("send contacts", "contacts", lambda: m.send_contacts(**TO, contacts=[
            {"name": {"formatted_name": "Ana Ruiz", "first_name": "Ana"}, "phones": [{"phone": "+12025550177"}]}]))
        self.sent("send reaction", "reaction",
                  lambda: m.send_reaction(**TO, reaction={"message_id": inbound_id, "emoji": "👍"}))
        self.sent("send reply buttons", "interactive", lambda: m.send_interactive_buttons(
            **TO, body_text="When?", header_text="Pickup", footer_text="Open 9-18",
            buttons=[{"id": "am", "title": "Morning"}]))
        self.sent("send list", "interactive", lambda: m.send_interactive_list(
            **TO, body_text="Choose", button_text="See", sections=[
                {"title": "North", "rows": [{"id": "st_1", "title": "Harbor", "description": "Pier 4"}]}]))
        self.sent("send call-to-action URL", "interactive", lambda: m.send_interactive_cta_url(
            **TO, body_text="Track", parameters={"display_text": "Track", "url": "https://shop.example/t/9"}))
        self.sent("send flow", "interactive", lambda: m.send_interactive_flow(**TO, body_text="Book", parameters={
            "flow_id": "9011", "flow_cta": "Book", "flow_token": "ft-7781", "flow_message_version": "3",
            "flow_action": "navigate", "flow_action_payload": {"screen": "SLOT"}}))
        self.sent("send location request", "interactive",
                  lambda: m.send_interactive_location_request(**TO, body_text="Where to?"))
        self.sent("send product", "interactive", lambda: m.send_interactive_product(
            **TO, catalog_id="5510", product_retailer_id="SKU-8", body_text="This?"))
        self.sent("send products", "interactive", lambda: m.send_interactive_product_list(
            **TO, catalog_id="5510", header_text="Frames", body_text="Picked",
            sections=[{"title": "Round", "product_items": [{"product_retailer_id": "SKU-8"}]}]))
        self.sent("send catalog", "interactive", lambda: m.send_interactive_catalog(
            **TO, body_text="Browse", thumbnail_product_retailer_id="SKU-8"))
        # (Its `typing_indicator=True` sends a bare true, which Meta refuses as well.)
        with self.checks("mark as read"):
            assert self.run(m.mark_read(**NUMBER, message_id=inbound_id))["success"]

    def media(self):
        media = self.client.media
        for kind, (content, mime) in h.files().items():
            if kind == "voice":
                continue
            with self.checks(f"upload {kind}"):
                identity = self.run(media.upload(**NUMBER, file=content, type=mime, filename=f"file-{kind}")).id
            send = getattr(self.client.messages, f"send_{kind}")
            self.sent(f"send {kind} by id", kind, lambda: send(**TO, **{kind: {"id": identity}}))
        with self.checks("media info, download and delete"):
            content, mime = h.files()["sticker"]
            info = self.run(media.get(media_id=identity))
            assert (info.mime_type, int(info.file_size)) == (mime, len(content)), info
            assert self.run(media.download(media_id=identity)) == content
            assert self.run(media.delete(media_id=identity))["success"]

    def templates(self):
        send = lambda **template: self.client.messages.send_template(  # noqa: E731
            **TO, template=build_template_send_payload(language="en_US", **template))
        self.sent("send template", "template", lambda: send(name="hello_world"))
        self.sent("send template with parameters", "template", lambda: send(
            name="order_update", body=[{"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]))
        photo = self.sent("send template with image header and buttons", "template", lambda: send(
            name="order_photo", header=[{"type": "image", "image": {"link": "https://cdn.example/p.jpg"}}],
            body=[{"type": "text", "text": "Ana"}], buttons=[
                {"type": "button", "sub_type": "quick_reply", "index": "0",
                 "parameters": [{"type": "payload", "payload": "OPTOUT"}]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-17"}]}]))
        with self.checks("a tap on a quick reply"):
            wamid = h.control(f"users/{h.USER}/tap", {"wamid": photo, "button": 0})["wamid"]
            tap = self.message(wamid)
            assert (tap["button"]["payload"], tap["context"]["id"]) == ("OPTOUT", photo), tap
        with self.checks("create, list, get and delete a template"):
            account = {"business_account_id": h.ACCOUNT}
            created = self.run(self.client.templates.create(**account, **build_template_definition(
                name="interop_farewell", category="UTILITY", language="en_US",
                components=[{"type": "BODY", "text": "Good-bye."}])))
            self.received.expect("approval", lambda event: event.raw["messageTemplateStatusUpdate"][0]["event"] == "APPROVED")
            listed = self.run(self.client.templates.list(**account, name="interop_farewell"))["data"]
            assert [template["id"] for template in listed] == [created["id"]], listed
            assert self.run(self.client.templates.get(template_id=created["id"]))["status"] == "APPROVED"
            assert self.run(self.client.templates.delete(**account, name="interop_farewell"))["success"]

    def inbound(self):
        messages = h.inbound()

        def arrives(name, holds):
            with self.checks(f"inbound {name}"):
                found = self.message(h.write(messages[name]))
                assert found["kapso"]["direction"] == "inbound" and holds(found), found

        arrives("text", lambda m: m["text"]["body"] == messages["text"]["text"]["body"] and m["from"] == h.USER)
        arrives("location", lambda m: m["location"]["name"] == "Home")
        arrives("contacts", lambda m: m["contacts"][0]["name"]["formattedName"] == "Leo M")
        arrives("reaction", lambda m: m["reaction"]["emoji"] == "👍")
        arrives("button_reply", lambda m: m["interactive"]["buttonReply"]["id"] == "slot_am")
        arrives("list_reply", lambda m: m["interactive"]["listReply"]["title"] == "Harbor")
        arrives("flow_reply", lambda m: m["kapso"]["flowResponse"]["slot"] == "0930")
        arrives("order", lambda m: m["order"]["productItems"][0]["quantity"] == 2)
        arrives("unsupported", lambda m: m["errors"][0]["code"] == 131051)
        arrives("number_changed", lambda m: m["system"]["waId"] == "12025550199")
        with self.checks("a changed user id is an identity event"):
            h.write(messages["user_id_changed"])
            event = self.received.expect("identity event", lambda event: event.identity_events)
            assert event.identity_events[0].raw["userId"] == "US.51190077130", event.identity_events

    def statuses(self):
        def status(wamid, name):
            event = self.received.expect(name, lambda e: (e.statuses[0].id, e.statuses[0].status) == (wamid, name))
            return event.statuses[0]

        with self.checks("sent, delivered and read, with pricing"):
            wamid = self.run(self.client.messages.send_text(**TO, body="Follow me")).message_id
            assert status(wamid, "sent").pricing["pricingModel"] == "PMP"
            assert status(wamid, "delivered").recipient_id == h.USER
            status(wamid, "read")
        with self.checks("a failure with its code"):
            h.control(f"users/{h.ABSENT_USER}", {"on_whatsapp": False}, "PATCH")
            template = build_template_send_payload(name="hello_world", language="en_US")
            wamid = self.run(self.client.messages.send_template(**NUMBER, to=h.ABSENT_USER, template=template)).message_id
            assert status(wamid, "failed").errors[0]["code"] == 131026

    def errors(self):
        def refused(name, kind, code, call):
            with self.checks(f"refusal: {name}"):
                try:
                    self.run(call)
                except WhatsAppAPIError as error:
                    assert isinstance(error, kind) and int(error.error_code) == code, repr(error)
                else:
                    raise AssertionError("nothing was raised")

        text = {**TO, "body": "hi"}
        unknown = build_template_send_payload(name="no_such", language="en_US")
        refused("unknown template", NotFoundError, 132001, self.client.messages.send_template(**TO, template=unknown))
        refused("own number", ValidationError, 131021,
                self.client.messages.send_text(**NUMBER, to="15550010001", body="me"))
        refused("wrong token", AuthenticationError, 190, client_with("not-a-token").messages.send_text(**text))
        h.control("faults", {"kind": "graph_error", "code": 131016, "next": 1})
        refused("service unavailable", WhatsAppAPIError, 131016, self.client.messages.send_text(**text))

    def management(self):
        with self.checks("business profile"):
            numbers = self.client.phone_numbers
            self.run(numbers.update_business_profile(**NUMBER, about="Open all day", websites=["https://shop.example/"]))
            profile = self.run(numbers.get_business_profile(**NUMBER))["data"][0]
            assert (profile["about"], profile["websites"]) == ("Open all day", ["https://shop.example/"]), profile
        with self.checks("deregister and register"):
            assert self.run(numbers.deregister(**NUMBER))["success"]
            assert self.run(numbers.register(**NUMBER, pin="123456"))["success"]


def main():
    received, checks = h.Received(), h.Checks()
    url = serve(received)
    program = Program(checks, received)
    with checks("verification challenge, asked by the simulator"):
        assert h.control("callback", {"url": url, "verify": True})["verified"]
    with checks.need("a person writes first"):
        inbound_id = h.write_text("Hello")
        program.message(inbound_id)
    h.check_forgery_is_refused(checks, url)
    program.sends(inbound_id)
    program.media()
    program.templates()
    program.inbound()
    program.statuses()
    program.errors()
    program.management()
    h.check_all_acknowledged(checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
