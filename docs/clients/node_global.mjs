// A resumable session with Node's own WebSocket (undici). Run: node node_global.mjs "ws://127.0.0.1:8000/ws?id=ada"
// (Node 20: node --experimental-websocket node_global.mjs …). Deno and Bun run it as well.
//
// It shows nothing of a refused dial, so reject=close asks for a close code instead. An open socket is then no proof
// of a session: the first message is. Node 20 and 22 fire no "close" after a refused handshake, so "error" counts, too.
const url = process.argv[2] + "&reject=close";
const over = [1000, 4100, 4101, 4403, 4409];
let resume = "", pause = 0.25;

function dial() {
  const socket = new WebSocket(url + resume);
  let ended = false;
  socket.onopen = () => {
    console.log("open");
    socket.send(JSON.stringify({ event: "say", payload: "hello" }));
  };
  socket.onmessage = ({ data }) => {
    resume = "&resume=true";
    pause = 0.25;
    console.log("message", JSON.parse(data).payload);
  };
  const end = (code, reason) => {
    if (ended) return;
    ended = true;
    if (over.includes(code)) {
      console.log("verdict", code);
      return;
    }
    const later = code === 4503 ? Number(/in (\d+) seconds/.exec(reason)?.[1] ?? 0) : 0;
    const wait = Math.max(pause * (0.5 + Math.random()), later);
    pause = Math.min(pause * 2, 30);
    console.log("wait", wait.toFixed(1));
    setTimeout(dial, wait * 1000);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  socket.onerror = () => setTimeout(() => end(1006, ""), 100);  // "close" comes first, where it comes at all
}

dial();
