// Some clients of resumehub.js in one node, for js_clients.py: node node_clients.mjs URL ROOM PACE WINDOW NAME…
// It reads orders from its input, a line each, and answers each with a line of JSON: "look", "tell", "again", "hush", "bye".

import { createInterface } from "node:readline";

import { connect } from "../../resumehub/static/resumehub.js";
import { Counting } from "./counting_client.js";

const [url, room, pace, window, ...names] = process.argv.slice(2);
const clients = names.map((name) => new Counting(connect, `${url}/ws?name=${name}&room=${room}`, name));
const traffic = setInterval(() => clients.forEach((one) => one.say(Number(window))), Number(pace) * 1000);

const orders = {
  look: () => clients.map((one) => one.look()),
  tell: () => clients.map((one) => one.tell()),
  again: () => clients.forEach((one) => one.again()),
  hush: () => clearInterval(traffic),
  bye() {
    clearInterval(traffic);
    clients.forEach((one) => one.close());
  },
};

for await (const order of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(orders[order]() ?? null)}\n`);
  if (order === "bye") break;
}
setTimeout(() => process.exit(0), 500);    // the close frames are out by then
