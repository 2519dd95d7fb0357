// Talks to the hub of page_app.py through resumehub.js, has its network cut again and again, and prints what it got.
// Started by test_real_hub.py: node storm.js URL plain|lossless MESSAGES

import WebSocket from "ws";

import { connect } from "../../resumehub/static/resumehub.js";

const [url, protocol, messages] = process.argv.slice(2);
const EACH = 20;             // echoes from one cut to the next
const plain = protocol === "plain";
const MOST = plain ? Infinity : 100;   // messages without an echo: some of a plain client's never get one,
const PACE = plain ? 20 : 1;           // so it is only slow
const total = Number(messages);
const got = [];
let sent = 0;
let ended = false;

const session = connect(({ tab }) => `${url}/ws?id=${tab}`, {
  plain,
  storage: null,
  firstPause: 5,
  platform: { WebSocket },
  // A promise, so that messages wait for each other; and the cut comes while one is being handled.
  async onMessage(event, payload) {
    if (got.length % EACH === EACH - 1 && !ended) await fetch(`${url}/cut?id=${session.tab}`);
    got.push(payload);
    if (payload === "end") session.close();
  },
  onClosed: (cause) => console.log(JSON.stringify({ got, sent, cause, stats: session.stats })),
});

function sendSome() {
  if (session.state === "closed") return;
  // Not more under way than the hub would keep as echoes: its handler would meet SendBufferFull.
  for (let i = 0; i < 7 && sent < total && sent - got.length < MOST; i += 1) session.send("say", sent += 1);
  const done = sent === total && (plain || !ended);
  if (done) session.send("say", "end");
  ended ||= done;
  setTimeout(sendSome, PACE);            // a plain client's last word may be lost, like any other: it says that again
}
sendSome();
