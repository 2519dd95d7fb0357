// A resumable session with ws. Run: node node_ws.mjs "ws://127.0.0.1:8000/ws?id=ada"
//
// A refused dial comes as "unexpected-response", with status and headers, if there is a listener for it; without one
// it is an error with a text.
import { createRequire } from "node:module";

const WebSocket = createRequire(process.cwd() + "/")("ws");
const url = process.argv[2];
const over = [1000, 4100, 4101, 4403, 4409];
let resume = "", pause = 0.25;

function dial() {
  const socket = new WebSocket(url + resume);
  let status = 0, retryAfter = 0;
  socket.on("open", () => {
    console.log("open");
    resume = "&resume=true";
    pause = 0.25;
    socket.send(JSON.stringify({ event: "say", payload: "hello" }));
  });
  socket.on("message", (text) => console.log("message", JSON.parse(text).payload));
  socket.on("error", () => {});                       // "close" follows
  socket.on("unexpected-response", (request, response) => {
    status = response.statusCode;
    retryAfter = Number(response.headers["retry-after"]) || 0;
    response.resume();                                // with this listener, ending the dial is ours to do
    request.destroy();
    socket.terminate();
  });
  socket.on("close", (code) => {
    if (over.includes(code) || (status >= 400 && status < 500 && status !== 429)) {
      console.log("verdict", status || code);
      return;
    }
    const wait = Math.max(pause * (0.5 + Math.random()), retryAfter);
    pause = Math.min(pause * 2, 30);
    console.log("wait", wait.toFixed(1));
    setTimeout(dial, wait * 1000);
  });
}

dial();
