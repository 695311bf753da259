// The echo and broadcast endpoints, as npm's ws sees them: node ws_client.js ECHO_URL BROADCAST_URL [TEST]...
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [echoUrl, broadcastUrl, ...wanted] = process.argv.slice(2);
const options = { perMessageDeflate: false, maxPayload: 1 << 30 };

// A client that keeps what comes, so that nothing is lost between two waits.
async function connect(url, more = {}) {
  const socket = new WebSocket(url, { ...options, ...more });
  const kept = [], waiting = [];
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    if (waiting.length > 0) waiting.shift()(message);
    else kept.push(message);
  });
  socket.next = () => kept.length > 0 ? Promise.resolve(kept.shift())
                                      : new Promise((resolve) => waiting.push(resolve));
  await once(socket, "open");
  return socket;
}

async function close(socket, code = 1000, reason = "") {
  const closed = once(socket, "close");
  socket.close(code, reason);
  return (await closed)[0];
}

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

const tests = {
  async text() {
    const socket = await connect(echoUrl);
    for (const text of ["", "a", "äöü €😀", "\0", "x".repeat(65536)]) {
      socket.send(text);
      assert.equal(await socket.next(), text);
    }
    assert.equal(await close(socket), 1000);
  },

  async binary() {
    const socket = await connect(echoUrl);
    for (const size of [0, 1, 125, 126, 65535, 65536, 16 << 20]) {
      const bytes = randomBytes(size);
      socket.send(bytes);
      const answer = await socket.next();
      assert.equal(answer.length, size);
      assert.equal(digest(answer), digest(bytes));
    }
    assert.equal(await close(socket, 4000, "bye"), 4000);
  },

  async fragments() {
    const socket = await connect(echoUrl);
    for (let i = 0; i < 100; i++) socket.send(`${i},`, { fin: i === 99 });
    assert.equal(await socket.next(), Array.from({ length: 100 }, (_, i) => `${i},`).join(""));
    await close(socket);
  },

  async pings() {
    const socket = await connect(echoUrl);
    for (const payload of ["", "hello", "p".repeat(125)]) {
      const pong = once(socket, "pong");
      socket.ping(payload);
      assert.equal((await pong)[0].toString(), payload);
    }
    socket.send("first ", { fin: false });
    const pong = once(socket, "pong");
    socket.ping("between");
    assert.equal((await pong)[0].toString(), "between");
    socket.send("last", { fin: true });
    assert.equal(await socket.next(), "first last");
    await close(socket);
  },

  async severalAtOnce() {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => connect(echoUrl)));
    await Promise.all(sockets.map(async (socket, i) => {
      for (let turn = 0; turn < 10; turn++) socket.send(`${i} ${turn}`);
      for (let turn = 0; turn < 10; turn++) assert.equal(await socket.next(), `${i} ${turn}`);
    }));
    assert.deepEqual(new Set(await Promise.all(sockets.map((s) => close(s)))), new Set([1000]));
  },

  async broadcast() {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => connect(broadcastUrl)));
    sockets[0].send("to all");
    for (const socket of sockets) assert.equal(await socket.next(), "to all");
    sockets[1].send(Buffer.from([0, 255]));
    for (const socket of sockets) assert.deepEqual(await socket.next(), Buffer.from([0, 255]));
    await Promise.all(sockets.map((s) => close(s)));
  },

  async deflateIsDeclined() {
    const socket = await connect(echoUrl, { perMessageDeflate: true });
    assert.equal(socket.extensions, "");
    socket.send("plain");
    assert.equal(await socket.next(), "plain");
    await close(socket);
  },

  async refusals() {
    for (const [url, more, status] of [
      [echoUrl.replace("/echo", "/none"), {}, 404],
      [echoUrl, { protocolVersion: 8 }, 426],
    ]) {
      const socket = new WebSocket(url, { ...options, ...more });
      const [, answer] = await once(socket, "unexpected-response");
      assert.equal(answer.statusCode, status, url);
      socket.on("error", () => {});
      socket.terminate();
    }
  },
};

for (const name of wanted.length > 0 ? wanted : Object.keys(tests)) {
  await tests[name]();
  console.log(name);
}
console.log("all well");
