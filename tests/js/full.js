// Two plain clients at the hub of full_app.py, which has room for one: the second is refused until the first has left.
// Started by test_real_hub.py: node full.js URL. Prints what the second one told of.

import WebSocket from "ws";

import { connect } from "../../resumehub/static/resumehub.js";

const [url] = process.argv.slice(2);
const REFUSALS = 4;
const told = [];
const note = (kind) => (detail) => told.push([kind, detail]);

// A clock on which a hundred seconds are one: on a busy machine the hub's close frame may come late, and must not be overtaken
// by the moment at which silence is taken for a session. The hub's greeting is.
const SLOWER = 100;
const platform = {
  WebSocket,
  now: () => performance.now() / SLOWER,
  setTimeout: (call, pause) => setTimeout(call, pause * SLOWER),
};
const options = { plain: true, storage: null, platform };
let refused = 0;

const first = connect(`${url}/ws?id=first`, { ...options, onConnect: comeToo });

function comeToo() {
  const second = connect(`${url}/ws?id=second`, {
    ...options,
    pause: () => 0,                    // and not the five seconds that the hub asks for
    onConnect: note("connect"), onDrop: note("drop"), onRestore: note("restore"), onExpired: note("expired"),
    onState({ state, code, reason }) {
      if (state !== "waiting") return;
      told.push([code, reason]);
      refused += 1;
      if (refused === REFUSALS) first.close();
    },
    onMessage(event, payload) {
      told.push([event, payload]);
      if (event === "welcome") return;
      second.close();
      console.log(JSON.stringify(told));
    },
  });
  second.send("say", "before there was room");
}
