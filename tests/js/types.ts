// Compiled, never run: what users may write, and what they may not. Started by test_node.py.

import { connect, jsonCodec, MessageTooBig, SendBufferFull, type Expired, type Session } from "../../resumehub/static/resumehub.js";

const session: Session = connect("/ws", {
  plain: false,
  storage: null,
  onMessage: async (event, payload, { number, replayed }) => {
    const said: string = event;
    const again: boolean = replayed;
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
