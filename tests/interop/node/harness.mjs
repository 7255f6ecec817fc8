// What every Node program here needs: the simulator's control API, the record of checks, a place for callbacks.
//
// The runner gives the simulator's address and names in the environment. One line goes out for each check; the last
// line says how many there were, so that a program that ends early is noticed.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const EXPECT_TIMEOUT_MS = 1_000 * Number(process.env.INTEROP_EXPECT_TIMEOUT_S ?? "15");
const EXPECT_STEP_MS = 20;

const need = (name) => {
    const value = process.env[name];
    if (value === undefined) throw new Error(`${name} is not set; tests/interop/run sets it`);
    return value;
};

const ROOT = need("INTEROP_ROOT");
const ASSETS = join(ROOT, "services/simulator/assets");

export const url = need("INTEROP_URL");
// Where the SDK finds the simulator: perhaps over https, with its authority in the environment.
export const sdkUrl = need("INTEROP_SDK_URL");
export const token = need("INTEROP_TOKEN");
export const appSecret = need("INTEROP_APP_SECRET");
export const verifyToken = need("INTEROP_VERIFY_TOKEN");
export const account = need("INTEROP_WABA_ID");
export const number = need("INTEROP_PHONE_NUMBER_ID");
// The secret the SDK is given: another one when the runner proves that these programs can fail.
export const sdkSecret = process.env.INTEROP_SDK_SECRET ?? appSecret;

export const user = "12025550142";
export const absentUser = "12025550143";
export const otherUser = "12025550144";
export const hiddenUser = "12025550147";

/** Messages people write, of every kind, by name. */
export const inbound = JSON.parse(readFileSync(join(ROOT, "tests/interop/inbound.json"), "utf8"));

/** Small real media files, by message type: bytes, MIME type and file name. */
export const files = () =>
    Object.fromEntries(
        [
            ["image", "image/jpeg", "picture.jpg"],
            ["video", "video/mp4", "film.mp4"],
            ["audio", "audio/ogg", "voice.ogg"],
            ["document", "application/pdf", "paper.pdf"],
            ["sticker", "image/webp", "sticker.webp"],
        ].map(([kind, mime, name]) => [kind, { bytes: readFileSync(join(ASSETS, name)), mime, name }]),
    );

export function assert(holds, what = "does not hold") {
    if (!holds) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

export function equal(is, should) {
    assert(JSON.stringify(is) === JSON.stringify(should), `is ${JSON.stringify(is)}, should be ${JSON.stringify(should)}`);
}

/** Calls the simulator's control API and gives the parsed answer. */
export async function control(path, body, method = body === undefined ? "GET" : "POST") {
    const answer = await fetch(`${url}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    assert(answer.ok, `control ${path}: ${answer.status} ${text.slice(0, 300)}`);
    return JSON.parse(text);
}

/** A person writes a message of any kind to the business; gives its wamid. */
export const write = async (message, from = user) => (await control(`users/${from}/write`, { message })).wamid;

/** What the simulator accepted under this id, with its JSON body. */
export async function accepted(wamid) {
    const { data } = await control("accepted?bodies=true&limit=1000");
    const found = data.find((message) => message.wamid === wamid);
    assert(found, `the simulator accepted nothing under ${wamid}`);
    return found;
}

/** Meta's address, which some SDKs do not let one change, is the simulator's here. */
export const rewritingFetch = (input, options) =>
    fetch(String(input?.url ?? input).replace("https://graph.facebook.com", url), options);

let passed = 0;
let failed = 0;

/** One check: it fails by an exception. Gives what the check gave, or nothing. */
export async function check(name, run) {
    try {
        const value = await run();
        passed += 1;
        console.log(`ok\t${name}`);
        return value;
    } catch (error) {
        failed += 1;
        const line = error.stack?.match(/(?<!harness)\.mjs:(\d+)/)?.[1] ?? "?";
        const detail = error.cause ? `${error.message} (${error.cause.message})` : error.message;
        console.log(`FAILED\t${name}\tline ${line}: ${String(detail).replaceAll("\n", " ").slice(0, 400)}`);
        return undefined;
    }
}

/** A check without which the others have no sense: if it fails, the program ends here. */
export async function checkNeeded(name, run) {
    const value = await check(name, run);
    if (failed > 0 && value === undefined) end();
    return value;
}

/** A send of this kind: the SDK understands the answer, and the simulator accepted just that. Gives the wamid. */
export const checkSent = (name, kind, send) =>
    check(name, async () => {
        const wamid = await send();
        assert(typeof wamid === "string" && wamid.startsWith("wamid."), `the SDK gives ${wamid} as the message's id`);
        equal((await accepted(wamid)).type, kind);
        return wamid;
    });

/** A call that has to be refused: gives what the SDK threw. */
export const checkRefused = (name, call, holds) =>
    check(`refusal: ${name}`, async () => {
        let thrown;
        try {
            await call();
        } catch (error) {
            thrown = error;
        }
        assert(thrown, "nothing was thrown");
        await holds(thrown);
    });

/** Says how many checks there were, and ends with the right status. */
export function end() {
    console.log(`done\t${passed + failed}`);
    process.exit(failed === 0 ? 0 : 1);
}

/** What the SDK understood of the callbacks, in the order it understood it. */
export class Received {
    items = [];

    add(item) {
        this.items.push(item);
    }

    async expect(what, holds) {
        const deadline = Date.now() + EXPECT_TIMEOUT_MS;
        while (Date.now() < deadline) {
            const found = this.items.find((item) => {
                try {
                    return holds(item);
                } catch {
                    return false;
                }
            });
            if (found) return found;
            await sleep(EXPECT_STEP_MS);
        }
        throw new Error(`no ${what} came in ${EXPECT_TIMEOUT_MS / 1000} s; ${this.items.length} other updates did`);
    }
}

/** Serves callbacks; `handle` gets request and raw body, and gives status and body. Gives the URL. */
export async function serve(handle) {
    const server = createServer(async (request, response) => {
        try {
            await handle(request, response);
        } catch (error) {
            console.error(error);
            response.statusCode = 500;
            response.end();
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${server.address().port}/hook`;
}

/** The raw body of a request, byte for byte. */
export async function raw(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return Buffer.concat(chunks);
}

const sign = (body, secret) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

async function post(to, body, headers) {
    const answer = await fetch(to, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
    return answer.status;
}

/** The challenge, asked by the simulator, with the right and with a wrong token. */
export async function checkChallenge(hook) {
    await check("verification challenge, asked by the simulator", async () => {
        const answer = await control("callback", { url: hook, verify: true });
        equal(answer.verified, true);
    });
    await check("challenge with a wrong token is refused", async () => {
        const query = new URLSearchParams({ "hub.mode": "subscribe", "hub.challenge": "7", "hub.verify_token": "wrong" });
        const answer = await fetch(`${hook}?${query}`);
        assert(answer.status >= 400 && answer.status < 500, `answered ${answer.status}`);
    });
}

/** The SDK's server takes a body with the right signature and refuses wrong, missing and re-encoded ones. */
export async function checkForgeryIsRefused(hook) {
    const message = { from: user, id: "wamid.FORGED", timestamp: "1777800000", type: "text", text: { body: "é" } };
    const value = {
        messaging_product: "whatsapp",
        metadata: { display_phone_number: "15550010001", phone_number_id: number },
        contacts: [{ profile: { name: "É" }, wa_id: user, user_id: "US.1" }],
        messages: [message],
    };
    const body = JSON.stringify({
        object: "whatsapp_business_account",
        entry: [{ id: account, changes: [{ field: "messages", value }] }],
    });
    const refused = (status) => assert(status >= 400, `answered ${status}`);
    await check("callback with a wrong signature is refused", async () =>
        refused(await post(hook, body, { "x-hub-signature-256": sign(body, "not the secret") })));
    await check("callback whose body was changed is refused", async () =>
        refused(await post(hook, body.replace("é", "e"), { "x-hub-signature-256": sign(body, appSecret) })));
    await check("callback without a signature is refused", async () => refused(await post(hook, body, {})));
    await check("the simulator's own bad signature is refused, its retry is taken", async () => {
        const before = (await control("summary")).callbacks;
        await control("faults", { kind: "bad_signature", next: 1 });
        await write(inbound.text, otherUser);
        const report = await control("wait?idle=true&timeout_ms=15000");
        equal(report.callbacks.refused, before.refused + 1);
        equal(report.callbacks.dropped, 0);
        await control("faults", undefined, "DELETE");
    });
}

/** At the end nothing is under way and the SDK's server took every callback. */
export const checkAllAcknowledged = () =>
    check("every callback was acknowledged", async () => {
        const { callbacks } = await control("wait?idle=true&timeout_ms=20000");
        assert(callbacks.acknowledged > 0 && callbacks.dropped === 0 && callbacks.unsubscribed === 0, callbacks);
    });
