// Compiled, never run: what users may write, and what they may not. Started by test_node.py.

import {
  connect, jsonCodec, MessageTooBig, RequestError, RequestFailed, RequestInDoubt, RequestTimeout, SendBufferFull, type Expired, type Received, type Session,
} from "../../resumehub/static/resumehub.js";

const session: Session = connect("/ws", {
  plain: false,
  storage: null,
  onMessage: async (event, payload, { number, history, replayed }) => {
    const said: string = event;
    const again: boolean = replayed || history;
    await Promise.resolve([said, payload.text, number.toFixed(), again]);
  },
  onExpired({ reason, firstAvailable, inDoubt }: Expired) {
    inDoubt.forEach(({ event, payload }) => session.send(event, payload));
    console.log(reason, (firstAvailable ?? 0) + 1);
  },
  onState(detail) {
    if (detail.state === "waiting") console.log(detail.pause / 1000, detail.code, detail.reachable);
    // @ts-expect-error: an open connection has no pause
    if (detail.state === "open") console.log(detail.pause);
  },
  pause: (failures, { code }) => (code === 1001 ? 1_000 : failures * 100),
});
connect(new URL("wss://example.org/ws"));
connect(async ({ tab, resume }) => `/ws?id=${tab}&ticket=${resume ? "" : "new"}`, { storage: sessionStorage });

try {
  session.send("chat.say", { text: "hello" });
  session.send("leave");
} catch (error) {
  if (error instanceof SendBufferFull || error instanceof MessageTooBig) console.log(error.message, session.stats.unacked);
}
session.reconnect();
session.close();

// @ts-expect-error: a payload needs an event
session.send({ text: "hello" });
// @ts-expect-error: who is connected is known from onState
session.state = "open";
// @ts-expect-error: no such option
connect("/ws", { reconnect: true });

connect("/ws", { codec: jsonCodec({ maxDepth: 200 }) });
// @ts-expect-error: a number
jsonCodec({ maxDepth: "200" });

interface Sum { total: number }
const asking = new AbortController();
try {
  const { total } = await session.request<Sum>("sum", [1, 2], { timeout: 5_000, signal: asking.signal });
  const anything = await session.request("members");
  console.log(total.toFixed(), anything.length);
  await session.request("slow", null, { timeout: null });
} catch (error) {
  if (error instanceof RequestFailed) console.log(error.code.toUpperCase(), error.message);
  if (error instanceof RequestTimeout || error instanceof RequestInDoubt) console.log(error.event);
}
// @ts-expect-error: milliseconds, not a text
session.request("sum", 1, { timeout: "5s" });
// @ts-expect-error: the answer comes by a promise
session.request<Sum>("sum").total;

connect("/ws", {
  requestTimeout: null,
  maxRequests: 10,
  onMessage(event, payload, message: Received) {
    if (message.id === null) return;
    if (event === "later") return message.defer();
    if (payload) return message.reply(payload);
    if (event === "no") return message.refuse("no", "Not now");
    throw new RequestError("unknown", "There is no such thing");
  },
  onClosed({ inDoubt }) { inDoubt.filter(({ id }) => id).forEach(({ event }) => console.log(event)); },
});
// @ts-expect-error: a refusal has a code
new RequestError();
// @ts-expect-error: the code is another's, and is only read
new RequestFailed("a").code = "b";
