// @chat-adapter/whatsapp, of Vercel's Chat SDK: a bot framework that knows threads and markdown instead of messages. Over https.

import { createMemoryState } from "@chat-adapter/state-memory";
import { createWhatsAppAdapter } from "@chat-adapter/whatsapp";
import { Actions, Button, Card, CardText, Chat } from "chat";

import * as h from "./harness.mjs";

// What the SDK logs as an error it swallows; none may be left over at the end.
const complaints = [];
const logger = {
    debug() {},
    info() {},
    warn: (...what) => complaints.push(what),
    error: (...what) => complaints.push(what),
    child: () => logger,
};
const whatsapp = createWhatsAppAdapter({
    accessToken: h.token,
    apiUrl: h.sdkUrl,
    appSecret: h.sdkSecret,
    phoneNumberId: h.number,
    verifyToken: h.verifyToken,
    userName: "bot",
    logger,
});
const bot = new Chat({ userName: "bot", adapters: { whatsapp }, state: createMemoryState(), logger });

const received = new h.Received();
const take = async (thread, message) => {
    await thread.subscribe();
    received.add({ id: message.id, message, thread: thread.id });
};
bot.onNewMention(take);
bot.onDirectMessage(take);
bot.onSubscribedMessage(take);
bot.onReaction(async (event) => received.add({ id: event.messageId, reaction: event.rawEmoji, added: event.added }));
bot.onAction(async (event) => received.add({ action: event.actionId, value: event.value }));

const hook = await h.serve(async (request, response) => {
    const body = request.method === "POST" ? await h.raw(request) : undefined;
    const asked = new Request(`http://bot${request.url}`, { method: request.method, headers: request.headers, body });
    const answer = await bot.webhooks.whatsapp(asked);
    response.statusCode = answer.status;
    response.end(await answer.text());
});

const thread = `whatsapp:${h.number}:${h.user}`;
const post = async (what) => (await whatsapp.postMessage(thread, what)).id;
const sent = (name, kind, run) => h.checkSent(name, kind, run);
const withId = (wamid) => (item) => item.id === wamid;
const lastReaction = async () => {
    const { data } = await h.control("accepted?bodies=true&limit=1000");
    const { message_id, emoji } = data.at(-1).body.reaction;
    return [message_id, emoji];
};

async function sends(inboundId) {
    const text = await sent("send markdown as text", "text", () => post({ markdown: "It is **ready**" }));
    await h.check("bold is written as people see it", async () => {
        h.equal((await h.accepted(text)).body.text.body, "It is *ready*");
    });
    const reply = await sent("send reply in context", "text", async () => (await whatsapp.reply(thread, inboundId, "Yes")).id);
    await h.check("context arrives", async () => h.equal((await h.accepted(reply)).body.context.message_id, inboundId));
    await h.check("react and take it back", async () => {
        await whatsapp.addReaction(thread, inboundId, "👍");
        h.equal(await lastReaction(), [inboundId, "👍"]);
        await whatsapp.removeReaction(thread, inboundId, "👍");
        h.equal(await lastReaction(), [inboundId, ""]);
    });
    for (const [kind, { bytes, mime, name }] of Object.entries(h.files())) {
        if (kind === "sticker") continue;
        await sent(`upload and send ${kind}`, kind, () =>
            post({ markdown: "", files: [{ data: bytes, filename: name, mimeType: mime }] }));
    }
    const card = await sent("send card as buttons", "interactive", () =>
        post({ card: Card({ title: "Pickup", children: [CardText("When?"), Actions([
            Button({ id: "slot", label: "Morning", value: "am" }), Button({ id: "later", label: "Later" })])] }) }));
    await h.check("a tap on a button", async () => {
        await h.control(`users/${h.user}/tap`, { wamid: card, button: 0 });
        await received.expect("tap", (item) => item.action === "slot" && item.value === "am");
    });
    await sent("send template", "template", async () => (await whatsapp.sendTemplate(thread, {
        name: "order_update", language: "en_US",
        components: [{ type: "body", parameters: [{ type: "text", text: "Ana" }, { type: "text", text: "A-17" }] }] })).id);
    await h.check("mark as read, and typing", async () => {
        await whatsapp.markAsRead(inboundId);
        await whatsapp.startTyping(thread);
    });
    await h.check("a long text goes as several messages", async () => {
        const before = (await h.control("summary")).accepted;
        await post("word ".repeat(1_500));
        h.equal((await h.control("summary")).accepted, before + 2);
    });
    await h.checkRefused("unknown template", () => whatsapp.sendTemplate(thread, { name: "no_such", language: "en_US" }),
        (error) => h.equal([error.errorCode, error.status, error.type], [132001, 404, "OAuthException"]));
    h.equal(complaints.splice(0).length, 1);
}

async function inbound() {
    const arrives = (name, holds) => h.check(`inbound ${name}`, async () => {
        const found = await received.expect(name, withId(await h.write(h.inbound[name])));
        h.equal([found.thread, found.message.author.userId], [thread, h.user]);
        h.assert(holds(found.message), found.message);
    });
    for (const name of ["text", "forwarded", "reply", "product_question", "ad_referral"]) {
        await arrives(name, ({ text }) => text === h.inbound[name].text.body);
    }
    await arrives("location", ({ text }) => text.includes("Home"));
    await h.check("inbound reaction", async () => {
        await h.write(h.inbound.reaction);
        await received.expect("reaction", ({ id, reaction }) => id === "wamid.REACTED" && reaction === "👍");
    });
    await h.check("inbound list reply", async () => {
        await h.write(h.inbound.list_reply);
        await received.expect("list reply", ({ action }) => action === "st_1");
    });
    for (const type of ["image", "video", "audio", "document", "sticker"]) {
        await h.check(`inbound ${type}`, async () => {
            const { message } = await received.expect(type, withId(await h.write({ type, [type]: {} })));
            h.assert(message.attachments.length === 1 && message.attachments[0].mimeType, message.attachments);
        });
    }
}

await h.checkChallenge(hook);
const inboundId = await h.checkNeeded("a person writes first", async () => {
    const wamid = await h.write(h.inbound.text);
    const { message } = await received.expect("text", withId(wamid));
    h.equal(message.text, h.inbound.text.text.body);
    return wamid;
});
await h.checkForgeryIsRefused(hook);
complaints.length = 0;
await sends(inboundId);
await inbound();
await h.checkAllAcknowledged();
await h.check("the SDK complained of nothing", async () => h.equal(complaints, []));
h.end();
