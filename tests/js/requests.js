// Asks the hub of page_app.py through resumehub.js, has its network cut again and again, and prints what it was answered.
// Started by test_real_hub.py: node requests.js URL plain|lossless REQUESTS DROPS

import WebSocket from "ws";

import { connect } from "../../resumehub/static/resumehub.js";

const [url, protocol, requests, drops] = process.argv.slice(2);
const EACH = 20;             // answers from one cut to the next
const MOST = 50;             // requests that wait
const AWAY = 20;             // requests that are made in one outage: those that time out stay in the send buffer
const told = [];             // [payload, answer or the name of the error]
let asked = 0;
let waiting = 0;
let answers = 0;
let askedAway = 0;

const session = connect(({ tab }) => `${url}/ws?id=${tab}`, {
  plain: protocol === "plain",
  storage: null,
  firstPause: 5,
  requestTimeout: protocol === "plain" ? 300 : null,     // a plain client's may be lost, and only the time tells it so
  platform: { WebSocket },
  onDrop: () => { askedAway = 0; },
  onClosed: () => console.log(JSON.stringify({ told, asked, stats: session.stats })),
});

async function ask(payload) {
  waiting += 1;
  try {
    told.push([payload, await session.request("sum", payload)]);
    answers += 1;
    if (answers % EACH === 0 && session.stats.drops < Number(drops)) await fetch(`${url}/cut?id=${session.tab}`);
  } catch ({ name }) {
    told.push([payload, name]);
  }
  waiting -= 1;
}

const maySend = () => session.state === "open" || (askedAway += 1) <= AWAY;

function askSome() {
  const isEnough = () => asked >= Number(requests) && session.stats.drops >= Number(drops);
  for (let i = 0; i < 7 && !isEnough() && waiting < MOST && maySend(); i += 1) ask(asked += 1);
  if (isEnough() && waiting === 0) session.close();
  else setTimeout(askSome, 1);
}
askSome();
