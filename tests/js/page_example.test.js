// The examples of requests in docs/howto/, as their readers would run them, against the model server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import WebSocket from "ws";

import * as client from "../../resumehub/static/resumehub.js";
import { ModelServer, until } from "./model_server.js";

/** Run the first JavaScript below a heading of a page; gives its `session` and its function `name`. */
function run(page, heading, name, server, globals = {}) {
  const text = readFileSync(new URL(`../../docs/howto/${page}`, import.meta.url), "utf8");
  const [, code] = /```js\n([^]*?)```/.exec(text.slice(text.indexOf(`\n## ${heading}\n`)));
  const [, imported, rest] = /^import \{(.*)\} from ".\/resumehub.js";\n([^]*)$/.exec(code);
  const connect = (path, options) => client.connect(server.url, { ...options, storage: null, platform: { WebSocket } });
  const example = new Function("client", ...Object.keys(globals), `const {${imported}} = client;\n${rest}\nreturn { session, ${name} };`);
  return example({ ...client, connect }, ...Object.values(globals));
}

describe("the example of the client's page", { timeout: 45_000 }, () => {
  let server;
  let session;
  let rename;

  before(async () => {
    server = await ModelServer.start();
    ({ session, rename } = run("javascript-client.md", "Requests", "rename", server, { document: { title: "The lobby" } }));
  });

  after(async () => {
    session.close();
    await server.close();
  });

  it("asks, and tells a refusal from what is in doubt", async () => {
    server.answer = ({ payload }) => (payload.name ? { payload: { members: 3 } } : { error: { code: "empty", message: "No name" } });
    assert.equal(await rename("kitchen"), "3 people see the new name");
    assert.equal(await rename(""), "The server refuses: No name (empty)");
    server.answer = () => null;
    const asked = rename("hall");
    await until(() => server.handled.length === 3);
    server.pushWhole({ event: "page.title", id: "q1" });
    server.pushWhole({ event: "page.colour", id: "q2" });
    await until(() => server.answers.length === 2);
    server.end(1000, "kicked");
    assert.equal(await asked, "Look whether it has the new name");
  });

  it("answers what the server asks, and refuses what it does not know", () => {
    assert.deepEqual(server.answers, [
      { event: "page.title", payload: "The lobby", re: "q1" },
      { event: "page.colour", error: { code: "unknown_event", message: "This page knows no page.colour" }, re: "q2" },
    ]);
  });
});

it("the example of the page about requests asks, and knows one refusal from the others", { timeout: 45_000 }, async () => {
  const server = await ModelServer.start();
  const { session, take } = run("requests.md", "Ask from a page", "take", server);
  const refuse = (code) => ({ event, payload }) => (event === "take" ? { error: { code, message: `${payload} is in use` } } : { payload: true });

  server.answer = ({ payload }) => ({ payload: payload === "bob" });
  assert.deepEqual([await take("ada"), await take("bob")], ["ada is in use", "You are bob"]);
  server.answer = refuse("name_taken");
  assert.equal(await take("eve"), "eve is in use");
  server.answer = refuse("internal_error");
  await assert.rejects(take("eve"), client.RequestFailed);

  session.close();
  await server.close();
});
