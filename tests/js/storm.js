// Talks to the hub of page_app.py through resumehub.js, has its network cut again and again, and prints what it got.
// Started by test_real_hub.py: node storm.js URL plain|lossless MESSAGES DROPS
// It ends when it has sent so many messages and has lost its connection so often, however fast the machine is.

import WebSocket from "ws";

import { connect } from "../../resumehub/static/resumehub.js";

const [url, protocol, messages, drops] = process.argv.slice(2);
const EACH = 20;             // echoes from one cut to the next
const plain = protocol === "plain";
const MOST = 100;            // messages without an echo; some of a plain client's never get one, so there: that wait,
const PACE = plain ? 20 : 1; // and it is slow
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

// Not more under way than the hub would keep as echoes: its handler would meet SendBufferFull.
const hasRoom = () => (plain ? session.stats.unacked : sent - got.length) < MOST;
const isEnough = () => sent >= Number(messages) && session.stats.drops >= Number(drops);

function sendSome() {
  if (session.state === "closed") return;
  for (let i = 0; i < 7 && !ended && !isEnough() && hasRoom(); i += 1) session.send("say", sent += 1);
  const done = isEnough() && (plain ? hasRoom() : !ended);
  if (done) session.send("say", "end");
  ended ||= done;
  setTimeout(sendSome, PACE);            // a plain client's last word may be lost, like any other: it says that again
}
sendSome();
