// whatsapp-api-js: message classes, its own callback server over node:http, signatures checked before anything is emitted.

import * as m from "whatsapp-api-js/messages";
import { WhatsAppAPI } from "whatsapp-api-js/middleware/node-http";

import * as h from "./harness.mjs";

// The SDK hard-codes Meta's address; what it lets one give is the fetch it calls.
const whatsapp = new WhatsAppAPI({
    token: h.token,
    appSecret: h.sdkSecret,
    webhookVerifyToken: h.verifyToken,
    v: "v23.0",
    ponyfill: { fetch: h.rewritingFetch },
});

const received = new h.Received();
whatsapp.on.message = (args) => received.add({ kind: "message", ...args });
whatsapp.on.status = (args) => received.add({ kind: "status", ...args });

const hook = await h.serve(async (request, response) => {
    if (request.method === "POST") {
        response.statusCode = await whatsapp.handle_post(request);
        return response.end();
    }
    try {
        return response.end(whatsapp.handle_get(request));
    } catch (status) {
        response.statusCode = status;
        return response.end();
    }
});

const idOf = (answer) => {
    h.assert(answer.messages, answer);
    return answer.messages[0].id;
};
const link = (name) => `https://cdn.example/${name}`;
const send = (message, context, opaque, to = h.user) => whatsapp.sendMessage(h.number, to, message, context, opaque);
const sent = (name, kind, message, ...more) => h.checkSent(name, kind, async () => idOf(await send(message(), ...more)));
const withId = (wamid) => ({ message }) => message?.id === wamid;

async function freeForm(inboundId) {
    await sent("send text with preview", "text", () => new m.Text("See https://shop.example/o/1", true));
    const reply = await sent("send reply in context", "text", () => new m.Text("Yes"), inboundId, "opaque-1");
    await h.check("context and opaque data arrive", async () => {
        const { body } = await h.accepted(reply);
        h.equal([body.context.message_id, body.biz_opaque_callback_data], [inboundId, "opaque-1"]);
    });
    await sent("send image by link", "image", () => new m.Image(link("a.jpg"), false, "Left view"));
    await sent("send video by link", "video", () => new m.Video(link("a.mp4"), false, "How to"));
    await sent("send audio by link", "audio", () => new m.Audio(link("a.ogg")));
    await sent("send document by link", "document", () => new m.Document(link("a.pdf"), false, "Invoice", "INV.pdf"));
    await sent("send sticker by link", "sticker", () => new m.Sticker(link("a.webp")));
    await sent("send location", "location", () => new m.Location(-77.0369, 38.9072, "Marlow Optics", "12 K St NW"));
    await sent("send contacts, which this SDK writes as a JSON string", "contacts", () => new m.Contacts([
        new m.Name("Ana Ruiz", "Ana", "Ruiz"), new m.Birthday("1988", "04", "30"),
        new m.Phone("+1 202 555 0177", "WORK", "12025550177"), new m.Email("ana@example.com", "WORK"),
        new m.Organization("Marlow Optics", "Fitting", "Lead"), new m.Url("https://example.com", "WORK"),
        new m.Address("United States", "US", "DC", "Washington", "12 K St NW", "20005", "WORK")]));
    await sent("send reaction", "reaction", () => new m.Reaction(inboundId, "👍"));
    await sent("remove reaction", "reaction", () => new m.Reaction(inboundId));
    const body = (text) => new m.Body(text);
    await sent("send reply buttons", "interactive", () => new m.Interactive(
        new m.ActionButtons(new m.Button("am", "Morning"), new m.Button("pm", "Afternoon")),
        body("When?"), new m.Header("Pickup"), new m.Footer("Open 9-18")));
    await sent("send list", "interactive", () => new m.Interactive(new m.ActionList("See stores",
        new m.ListSection("North", new m.Row("st_1", "Harbor", "Pier 4")),
        new m.ListSection("South", new m.Row("st_2", "Hill"))), body("Choose")));
    await sent("send call-to-action URL", "interactive", () =>
        new m.Interactive(new m.ActionCTA("Track", "https://shop.example/t/9"), body("Track it")));
    await sent("send flow", "interactive", () => new m.Interactive(
        new m.ActionNavigateFlow("ft-7781", "9011", "Book", "SLOT", { store: "st_1" }), body("Book")));
    await sent("send location request", "interactive", () => new m.Interactive(new m.ActionLocation(), body("Where to?")));
    await sent("send contact request", "interactive", () => new m.Interactive(new m.ActionContactRequest(), body("Who?")));
    await sent("send call permission", "interactive", () => new m.Interactive(new m.ActionCallPermission(), body("May we?")));
    const product = new m.CatalogProduct("SKU-8", "5510");
    await sent("send product", "interactive", () => new m.Interactive(new m.ActionProduct(product), body("This?")));
    await sent("send products", "interactive", () => new m.Interactive(
        new m.ActionProductList("5510", new m.ProductSection("Round", new m.Product("SKU-8"))),
        body("Picked"), new m.Header("Frames")));
    await sent("send catalog", "interactive", () =>
        new m.Interactive(new m.ActionCatalog(new m.Product("SKU-8")), body("Browse")));
    await h.check("mark as read, with typing", async () => {
        h.equal((await whatsapp.markAsRead(h.number, inboundId, "text")).success, true);
    });
}

async function media() {
    const ids = {};
    const classes = { image: m.Image, video: m.Video, audio: m.Audio, document: m.Document, sticker: m.Sticker };
    for (const [kind, { bytes, mime, name }] of Object.entries(h.files())) {
        // This SDK says `messaging_product` in the query and gives the file alone in the form.
        await h.check(`upload ${kind}`, async () => {
            const form = new FormData();
            form.set("file", new Blob([bytes], { type: mime }), name);
            ids[kind] = (await whatsapp.uploadMedia(h.number, form)).id;
            h.assert(ids[kind], "no id");
        });
        await sent(`send ${kind} by id`, kind, () => new classes[kind](ids[kind], true));
    }
    await sent("send voice note by id", "audio", () => new m.Audio(ids.audio, true, true));
    await h.check("media info and download", async () => {
        const { bytes, mime } = h.files().image;
        const info = await whatsapp.retrieveMedia(ids.image, h.number);
        h.equal([info.mime_type, Number(info.file_size)], [mime, bytes.length]);
        const answer = await whatsapp.fetchMedia(info.url);
        h.assert(answer.ok && Buffer.from(await answer.arrayBuffer()).equals(bytes), "other bytes came back");
    });
    await h.check("inbound image, with a file behind it", async () => {
        const wamid = await h.write({ type: "image", image: { caption: "broken" } });
        const { message } = await received.expect("image", withId(wamid));
        h.equal([message.image.caption, message.image.mime_type], ["broken", "image/jpeg"]);
        const info = await whatsapp.retrieveMedia(message.image.id);
        h.assert((await whatsapp.fetchMedia(info.url)).ok, "its file is not there");
    });
    await h.check("delete media", async () => {
        h.equal((await whatsapp.deleteMedia(ids.image, h.number)).success, true);
        h.equal((await whatsapp.retrieveMedia(ids.image)).error.code, 100);
    });
}

async function templates() {
    await sent("send template", "template", () => new m.Template("hello_world", "en_US"));
    await sent("send template with body parameters", "template", () => new m.Template("order_update", "en_US",
        new m.BodyComponent(new m.BodyParameter("Ana"), new m.BodyParameter(new m.Currency(24_500, "USD", "$24.50")))));
    await sent("send template with named parameters", "template", () => new m.Template("appointment_reminder",
        new m.Language("en_US"), new m.BodyComponent(new m.BodyParameter("Ana", "first_name"),
            new m.BodyParameter(new m.DateTime("Monday"), "day"))));
    const photo = await sent("send template with image header and buttons", "template", () =>
        new m.Template("order_photo", "en_US", new m.HeaderComponent(new m.HeaderParameter(new m.Image(link("p.jpg")))),
            new m.BodyComponent(new m.BodyParameter("Ana")), new m.PayloadComponent("OPTOUT"), new m.URLComponent("A-17")));
    await sent("send authentication template", "template", () => m.Template.OTP("login_code", "en_US", "482910"));
    await h.check("a tap on a quick reply", async () => {
        const { wamid } = await h.control(`users/${h.user}/tap`, { wamid: photo, button: 0 });
        const { message } = await received.expect("tap", withId(wamid));
        h.equal([message.type, message.button.payload, message.context.id], ["button", "OPTOUT", photo]);
    });
}

async function inbound() {
    const arrives = (name, holds) => h.check(`inbound ${name}`, async () => {
        const wamid = await h.write(h.inbound[name]);
        const args = await received.expect(name, withId(wamid));
        h.assert(args.phoneID === h.number && holds(args.message, args), args.message);
    });
    await arrives("text", (message, { from, name, contact }) => message.text.body === h.inbound.text.text.body
        && from === h.user && name && contact.user_id === message.from_user_id);
    await arrives("reply", (message) => message.context.id === "wamid.QUOTED");
    await arrives("ad_referral", (message) => message.referral.source_id === "120220001");
    await arrives("location", (message) => message.location.name === "Home");
    await arrives("contacts", (message) => message.contacts[0].phones[0].wa_id === "12025550188");
    await arrives("reaction", (message) => message.reaction.emoji === "👍");
    await arrives("button_reply", (message) => message.interactive.button_reply.id === "slot_am");
    await arrives("list_reply", (message) => message.interactive.list_reply.title === "Harbor");
    await arrives("flow_reply", (message) => JSON.parse(message.interactive.nfm_reply.response_json).slot === "0930");
    await arrives("order", (message) => message.order.product_items[0].quantity === 2);
    await arrives("number_changed", (message, { from }) => message.system.wa_id === "12025550199" && from === h.user);
    await arrives("unsupported", (message) => message.errors[0].code === 131051);
    await h.check("the SDK's own reply to a person who hides the number", async () => {
        await h.control(`users/${h.hiddenUser}`, { hides_number: true }, "PATCH");
        const wamid = await h.write(h.inbound.text, h.hiddenUser);
        const { reply, recipient } = await received.expect("hidden person", withId(wamid));
        h.assert(recipient.phone === undefined && recipient.bsuid.startsWith("US."), recipient);
        h.equal((await h.accepted(idOf(await reply(new m.Text("Hello"), true)))).user_id, recipient.bsuid);
    });
}

async function statuses() {
    await h.check("sent, delivered and read, with pricing and opaque data", async () => {
        const wamid = idOf(await send(new m.Text("Follow me"), undefined, "opaque-2"));
        for (const name of ["sent", "delivered", "read"]) {
            const found = await received.expect(name, ({ id, status }) => id === wamid && status === name);
            h.equal([found.phone, found.biz_opaque_callback_data, found.type], [h.user, "opaque-2", "individual"]);
            if (name === "sent") h.equal(found.pricing.pricing_model, "PMP");
        }
    });
    await h.check("a failure with its code", async () => {
        await h.control(`users/${h.absentUser}`, { on_whatsapp: false }, "PATCH");
        const wamid = idOf(await send(new m.Template("hello_world", "en_US"), undefined, undefined, h.absentUser));
        const found = await received.expect("failure", ({ id, status }) => id === wamid && status === "failed");
        h.equal([found.error.code, found.phone], [131026, h.absentUser]);
    });
}

async function errorsAndManagement() {
    // This SDK gives a refusal as the answer's `error`, typed.
    const refused = (name, code, call) => h.check(`refusal: ${name}`, async () => {
        const { error } = await call();
        h.equal([error?.code, error?.type], [code, "OAuthException"]);
        h.assert(error.fbtrace_id && error.message, error);
    });
    await refused("unknown template", 132001, () => send(new m.Template("no_such", "en_US")));
    await refused("parameter count", 132000, () => send(new m.Template("order_update", "en_US")));
    await refused("own number", 131021, () => send(new m.Text("me"), undefined, undefined, "15550010001"));
    await refused("unknown media id", 100, () => send(new m.Image("424242", true)));
    await h.check("block and unblock a user", async () => {
        const blocked = await whatsapp.blockUser(h.number, h.user);
        h.equal(blocked.block_users.added_users[0].wa_id, h.user);
        const unblocked = await whatsapp.unblockUser(h.number, h.user);
        h.equal(unblocked.block_users.removed_users[0].wa_id, h.user);
    });
    await h.check("blocking a stranger fails for that user, and says so beside the error", async () => {
        const outcome = await whatsapp.blockUser(h.number, h.user, "12025550199");
        h.equal([outcome.error.code, outcome.block_users.failed_users[0].input], [139100, "12025550199"]);
        h.equal(outcome.block_users.failed_users[0].errors[0].code, 131047);
        await whatsapp.unblockUser(h.number, h.user);
    });
    await h.check("make, read, change and delete a QR code", async () => {
        const made = await whatsapp.createQR(h.number, "Hello", "svg");
        h.assert(made.deep_link_url === `https://wa.me/message/${made.code}` && made.qr_image_url, made);
        h.equal((await whatsapp.retrieveQR(h.number, made.code)).data[0].prefilled_message, "Hello");
        h.equal((await whatsapp.updateQR(h.number, made.code, "Bye")).prefilled_message, "Bye");
        h.equal((await whatsapp.retrieveQR(h.number)).data.length, 1);
        h.equal((await whatsapp.deleteQR(h.number, made.code)).success, true);
    });
}

await h.checkChallenge(hook);
const inboundId = await h.checkNeeded("a person writes first", async () => {
    const wamid = await h.write(h.inbound.text);
    await received.expect("text", withId(wamid));
    return wamid;
});
await h.checkForgeryIsRefused(hook);
await freeForm(inboundId);
await media();
await templates();
await inbound();
await statuses();
await errorsAndManagement();
await h.checkAllAcknowledged();
h.end();
