// A resumable session with reconnecting-websocket, or partysocket (PACKAGE=partysocket/ws). Run:
// node node_reconnecting.mjs "ws://127.0.0.1:8000/ws?id=ada"
//
// It redials by itself, for ever and without a look at Retry-After. So the URL is a function, which adds resume=true
// and, as a promise, waits as long as the hub has asked for; and 4100 is where it has to be stopped.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const found = require(process.env.PACKAGE ?? "reconnecting-websocket");
const ReconnectingWebSocket = found.default ?? found.WebSocket ?? found;
const over = [1000, 4100, 4101, 4403, 4409];
let resume = "", later = 0;

async function url() {
  const wait = later;
  later = 0;
  await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  return `${process.argv[2]}&reject=close${resume}`;
}

const socket = new ReconnectingWebSocket(url, [], {
  WebSocket: require("ws"), minReconnectionDelay: 200, maxReconnectionDelay: 30000, connectionTimeout: 60000,
});
socket.addEventListener("open", () => {
  console.log("open");
  socket.send(JSON.stringify({ event: "say", payload: "hello" }));
});
socket.addEventListener("message", ({ data }) => {
  resume = "&resume=true";
  console.log("message", JSON.parse(data).payload);
});
socket.addEventListener("close", ({ code, reason }) => {
  if (over.includes(code) && reason !== "") {         // without a reason it is the library's own 1000
    socket.close();
    console.log("verdict", code);
    process.exit(0);                                  // its timers would go on
  }
  if (code === 4503) later = Number(/in (\d+) seconds/.exec(reason)?.[1] ?? 0);
  console.log("wait", later);
});
