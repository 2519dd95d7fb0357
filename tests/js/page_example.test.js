// The example of requests in docs/howto/javascript-client.md, as its reader would run it, against the model server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import WebSocket from "ws";

import * as client from "../../resumehub/static/resumehub.js";
import { ModelServer, until } from "./model_server.js";

const page = readFileSync(new URL("../../docs/howto/javascript-client.md", import.meta.url), "utf8");

describe("the example of the page", { timeout: 10_000 }, () => {
  let server;
  let session;
  let rename;

  before(async () => {
    server = await ModelServer.start();
    const [, code] = /## Requests\n[^]*?```js\n([^]*?)```/.exec(page);
    const [, names, rest] = /^import \{(.*)\} from ".\/resumehub.js";\n([^]*)$/.exec(code);
    const connect = (path, options) => client.connect(server.url, { ...options, storage: null, platform: { WebSocket } });
    const run = new Function("client", "document", `const {${names}} = client;\n${rest}\nreturn { session, rename };`);
    ({ session, rename } = run({ ...client, connect }, { title: "The lobby" }));
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
