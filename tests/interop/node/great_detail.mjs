// @great-detail/whatsapp: a typed client over ky, and a webhook reader whose signature check its user calls.

import Client from "@great-detail/whatsapp";
import { HTTPError } from "ky";

import * as h from "./harness.mjs";

const request = { headers: { Authorization: `Bearer ${h.token}` }, retry: 0 };
const sdk = new Client({ prefixUrl: h.url, graphVersion: "v23.0", request });
const phoneNumberID = h.number;
const link = (name) => `https://cdn.example/${name}`;
const received = new h.Received();

const hook = await h.serve(async (incoming, response) => {
    const query = Object.fromEntries(new URL(incoming.url, "http://localhost").searchParams);
    const { method, headers } = incoming;
    if (method === "GET") {
        const registration = await sdk.webhook.register({ method, query, headers, body: undefined });
        if (registration.verifyToken !== h.verifyToken) {
            registration.reject();
            response.statusCode = 403;
            return response.end();
        }
        return response.end(registration.accept());
    }
    const body = (await h.raw(incoming)).toString("utf8");
    try {
        const event = await sdk.webhook.eventNotification({ method, query, headers, body });
        await event.verifySignature(h.sdkSecret);
        for (const { changes } of event.eventNotification.entry) changes.forEach((change) => received.add(change));
        return response.end(event.accept());
    } catch (error) {
        h.assert(error instanceof sdk.webhook.errors.InvalidHubSignatureWebhookError, `${error}`);
        response.statusCode = 401;
        return response.end();
    }
});

const message = (wamid) => ({ field, value }) => field === "messages" && value.messages?.[0].id === wamid;
const status = (wamid, name) => ({ value }) => value.statuses?.[0].id === wamid && value.statuses[0].status === name;
const create = (options) => sdk.message.createMessage({ phoneNumberID, to: h.user, ...options }).json();
const sent = (name, kind, payload, more = {}) => h.checkSent(name, kind, async () => {
    const answer = await create({ type: kind, [kind]: payload, ...more });
    h.equal([answer.messaging_product, answer.contacts[0].wa_id], ["whatsapp", h.user]);
    return answer.messages[0].id;
});

async function sends(inboundId) {
    await sent("send text with preview", "text", { body: "See https://shop.example/o/1", preview_url: true });
    await sent("send text with opaque data", "text", { body: "Yes" }, { biz_opaque_callback_data: "opaque-1" });
    for (const kind of ["image", "video", "audio", "document", "sticker"]) {
        await sent(`send ${kind} by link`, kind, { link: link(kind) });
    }
    await sent("send location", "location", { latitude: 38.9072, longitude: -77.0369, name: "Marlow", address: "12 K St" });
    await sent("send contacts", "contacts", [{ name: { formatted_name: "Ana Ruiz", first_name: "Ana" }, emails: [], urls: [],
        addresses: [], phones: [{ phone: "+12025550177", wa_id: "12025550177" }] }]);
    await sent("send reaction", "reaction", { message_id: inboundId, emoji: "👍" });
    await sent("send reply buttons", "interactive", { type: "button", body: { text: "When?" },
        action: { buttons: [{ type: "reply", reply: { id: "am", title: "Morning" } }] } });
    await sent("send template", "template", { name: "hello_world", language: { code: "en_US" } });
    await sent("send template with components", "template", { name: "order_update",
        language: { policy: "deterministic", code: "en_US" },
        components: [{ type: "body", parameters: [{ type: "text", text: "Ana" },
            { type: "currency", currency: { fallback_value: "$24.50", code: "USD", amount_1000: 24_500 } }] }] });
    await h.check("mark as read, with typing", async () => {
        const answer = await sdk.message.createStatus({ phoneNumberID, status: "read", message_id: inboundId,
            typing_indicator: { type: "text" } }).json();
        h.equal(answer.success, true);
    });
}

async function media() {
    const { bytes, mime, name } = h.files().document;
    const id = await h.check("upload a document", async () => {
        const file = new Blob([bytes], { type: mime });
        return (await sdk.media.upload({ phoneNumberID, file, filename: name, mimeType: mime }).json()).id;
    });
    await sent("send document by id", "document", { id, caption: "Invoice", filename: "INV.pdf" });
    await h.check("media info and download", async () => {
        const info = await sdk.media.getURL({ mediaID: id, phoneNumberID }).json();
        h.equal([info.mime_type, Number(info.file_size), info.id], [mime, bytes.length, id]);
        // The SDK gives no token to a download by itself.
        const content = await sdk.media.download({ mediaURL: info.url, request }).arrayBuffer();
        h.assert(Buffer.from(content).equals(bytes), "other bytes came back");
    });
    await h.check("delete media", async () => {
        h.equal((await sdk.media.delete({ mediaID: id, phoneNumberID }).json()).success, true);
    });
}

async function templates() {
    await h.check("list templates by status, name and several categories", async () => {
        const paused = await sdk.template.list(h.account, { status: "PAUSED" }).json();
        h.equal(paused.data.map(({ name }) => name), ["paused_offer"]);
        const found = await sdk.template.list(h.account, { name_or_content: "order", category: ["UTILITY", "MARKETING"] }).json();
        h.equal(found.data.map(({ name }) => name).sort(), ["order_photo", "order_update"]);
    });
    await h.check("create, read, update and delete a template", async () => {
        const created = await sdk.template.create(h.account, { name: "interop_greeting", category: "UTILITY",
            language: "en_US", parameter_format: "POSITIONAL",
            components: [{ type: "BODY", text: "Hello {{1}}, good day.", example: { body_text: [["Ana"]] } }] }).json();
        h.equal(created.status, "PENDING");
        const { value } = await received.expect("approval", ({ field, value }) =>
            field === "message_template_status_update" && value.message_template_name === "interop_greeting");
        h.equal([value.event, String(value.message_template_id)], ["APPROVED", created.id]);
        const read = await sdk.template.get(created.id, { fields: ["name", "status", "components"] }).json();
        h.equal([read.name, read.status, read.components[0].type], ["interop_greeting", "APPROVED", "BODY"]);
        const update = await sdk.template.update(created.id, { components: [{ type: "BODY", text: "Good day." }] }).json();
        h.equal(update.success, true);
        h.equal((await sdk.template.delete(h.account, { name: "interop_greeting" }).json()).success, true);
    });
}

async function inbound() {
    const arrives = (name, holds) => h.check(`inbound ${name}`, async () => {
        const wamid = await h.write(h.inbound[name]);
        const { value } = await received.expect(name, message(wamid));
        h.equal([value.messaging_product, value.metadata.phone_number_id], ["whatsapp", h.number]);
        h.assert(holds(value.messages[0], value), value.messages[0]);
    });
    await arrives("text", (m, { contacts }) => m.text.body === h.inbound.text.text.body && contacts[0].wa_id === m.from);
    await arrives("location", (m) => m.location.latitude === 38.9072);
    await arrives("button_reply", (m) => m.interactive.button_reply.id === "slot_am");
    await arrives("order", (m) => m.order.product_items[0].item_price === 24.5);
    await arrives("number_changed", (m, { contacts }) => m.system.type === "user_changed_number" && contacts === undefined);
}

async function statusesAndErrors() {
    await h.check("sent, delivered and read", async () => {
        const answer = await create({ type: "text", text: { body: "Follow me" } });
        for (const name of ["sent", "delivered", "read"]) await received.expect(name, status(answer.messages[0].id, name));
    });
    await h.check("a failure with its code", async () => {
        await h.control(`users/${h.absentUser}`, { on_whatsapp: false }, "PATCH");
        const answer = await create({ to: h.absentUser, type: "template", template: { name: "hello_world", language: { code: "en_US" } } });
        const { value } = await received.expect("failure", status(answer.messages[0].id, "failed"));
        h.equal(value.statuses[0].errors[0].code, 131026);
    });
    const refused = (name, code, call) => h.checkRefused(name, call, async (error) => {
        h.assert(error instanceof HTTPError, `${error}`);
        const body = await error.response.json();
        h.equal(body.error.code, code);
    });
    await refused("unknown template", 132001, () => create({ type: "template", template: { name: "no", language: { code: "en_US" } } }));
    await refused("an unknown member", 100, () => create({ type: "text", text: { body: "hi" }, context: { inReplyTo: "wamid.X" } }));
    const stranger = new Client({ prefixUrl: h.url, request: { headers: { Authorization: "Bearer no" }, retry: 0 } });
    await refused("wrong token", 190, () => stranger.message.createMessage({ phoneNumberID, to: h.user, type: "text", text: { body: "hi" } }).json());
}

async function management() {
    await h.check("business profile", async () => {
        await sdk.businessProfile.updateBusinessProfile({ phoneNumberID, about: "Open all day", vertical: "RETAIL" });
        const { data } = await sdk.businessProfile.getBusinessProfile({ phoneNumberID, fields: ["about", "vertical"] }).json();
        h.equal(data, [{ about: "Open all day", vertical: "RETAIL" }]);
    });
    await h.check("numbers, account and subscriptions", async () => {
        const one = await sdk.phoneNumbers.getPhoneNumber({ phoneNumberID, fields: ["quality_rating", "throughput", "last_onboarded_time"] }).json();
        h.equal([one.quality_rating, one.throughput.level], ["GREEN", "STANDARD"]);
        const { data } = await sdk.phoneNumbers.listPhoneNumbers({ businessAccountID: h.account }).json();
        h.equal(data.map(({ id }) => id), [h.number]);
        const account = await sdk.whatsappBusinessAccount.get(h.account, { fields: ["name", "status", "business_verification_status", "ownership_type"] }).json();
        h.equal([account.id, account.status], [h.account, "ACTIVE"]);
        await sdk.subscribedApps.createSubscription({ businessAccountID: h.account });
        const subscribed = await sdk.subscribedApps.listSubscriptions({ businessAccountID: h.account }).json();
        h.assert(subscribed.data[0].whatsapp_business_api_data.id, subscribed);
    });
}

await h.checkChallenge(hook);
const inboundId = await h.checkNeeded("a person writes first", async () => {
    const wamid = await h.write(h.inbound.text);
    await received.expect("text", message(wamid));
    return wamid;
});
await h.checkForgeryIsRefused(hook);
await sends(inboundId);
await media();
await templates();
await inbound();
await statusesAndErrors();
await management();
await h.checkAllAcknowledged();
h.end();
