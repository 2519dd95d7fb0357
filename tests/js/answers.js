// Is asked by the hub of page_app.py through resumehub.js, while its network is cut again and again, and prints what it was asked and
// what the hub was answered. Started by test_real_hub.py: node answers.js URL REQUESTS

import WebSocket from "ws";

import { connect } from "../../resumehub/static/resumehub.js";

const [url, requests] = process.argv.slice(2);
const EACH = 10;             // requests from one cut to the next
const AT_ONCE = 4;           // threads of the hub that wait for an answer
const seen = [];
const answers = [];
let next = 0;

const session = connect(({ tab }) => `${url}/ws?id=${tab}`, {
  storage: null,
  firstPause: 5,
  platform: { WebSocket },
  // The cut comes between the question and its answer, and while the others wait for theirs.
  async onMessage(event, payload) {
    seen.push(payload);
    if (payload % EACH === 0) await fetch(`${url}/cut?id=${session.tab}`);
    return payload * 2;
  },
  onConnect: () => Promise.all(Array.from({ length: AT_ONCE }, beAsked)).then(() => session.close()),
  onClosed: () => console.log(JSON.stringify({ seen, answers, stats: session.stats })),
});

async function beAsked() {
  while (next < Number(requests)) {
    const payload = next += 1;
    const answer = await fetch(`${url}/ask?id=${session.tab}&payload=${payload}`);
    answers.push([payload, await answer.json()]);
  }
}
