// WebSockets over HTTP/2 (RFC 8441) with node's http2, frames made here. ARGV: URL. Prints what was
// shown, then `stop me` and, when the server has ended, `all well`.
import assert from "node:assert";
import http2 from "node:http2";
import { randomBytes } from "node:crypto";
import { once } from "node:events";

const url = process.argv[2];
const CONNECT = { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" };

function frame(opcode, payload, fin = true) {
  const size = payload.length;
  const head = [(fin ? 0x80 : 0) | opcode];
  if (size < 126) head.push(0x80 | size);
  else if (size < 65536) head.push(0x80 | 126, size >> 8, size & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, (size >>> 24) & 255, (size >> 16) & 255, (size >> 8) & 255, size & 255);
  const key = randomBytes(4);
  const masked = Buffer.alloc(size);
  for (let i = 0; i < size; i++) masked[i] = payload[i] ^ key[i & 3];
  return Buffer.concat([Buffer.from(head), key, masked]);
}

// One WebSocket on a stream of `session`.
class Socket {
  constructor(session, path, fields = {}) {
    this.stream = session.request({ ...CONNECT, ":path": path, ...fields });
    this.stream.on("error", () => {});
    this.response = once(this.stream, "response").then(([head]) => head);
    this.closed = once(this.stream, "close");
    this.bytes = Buffer.alloc(0);
    this.waiting = [];
    this.stream.on("data", (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.wake();
    });
    this.stream.on("end", () => ((this.ended = true), this.wake()));
  }
  wake() {
    for (const go of this.waiting.splice(0)) go();
  }
  async more() {
    assert(!this.ended, "the stream has ended");
    await new Promise((go) => this.waiting.push(go));
  }
  async need(size) {
    while (this.bytes.length < size) await this.more();
    const taken = this.bytes.subarray(0, size);
    this.bytes = this.bytes.subarray(size);
    return taken;
  }
  async read() {
    const [first, second] = await this.need(2);
    let size = second & 127;
    if (size === 126) size = (await this.need(2)).readUInt16BE();
    else if (size === 127) size = Number((await this.need(8)).readBigUInt64BE());
    return { opcode: first & 15, fin: (first & 128) !== 0, payload: await this.need(size) };
  }
  send(opcode, payload, fin = true) {
    this.stream.write(frame(opcode, Buffer.from(payload), fin));
  }
  async close(code) {
    this.send(8, [code >> 8, code & 255]);
    const answer = await this.read();
    assert.deepEqual([answer.opcode, answer.payload.readUInt16BE()], [8, code]);
    this.stream.end();
    await this.closed;
    assert.equal(this.stream.rstCode, 0);
  }
}

async function connect() {
  const session = http2.connect(url, { rejectUnauthorized: false });
  session.on("error", (error) => (session.failed = error));
  const [settings] = await once(session, "remoteSettings");
  assert.equal(settings.enableConnectProtocol, true);
  return session;
}

async function get(session, path) {
  const stream = session.request({ ":path": path });
  let size = 0;
  stream.on("data", (data) => (size += data.length));
  const [head] = await once(stream, "response");
  await once(stream, "end");
  return [head[":status"], size];
}

async function messages(session) {
  const socket = new Socket(session, "/echo");
  const head = await socket.response;
  assert.equal(head[":status"], 200);
  assert.equal(head["sec-websocket-accept"], undefined);
  for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    const text = "x".repeat(size);
    socket.send(1, text);
    const answer = await socket.read();
    assert.deepEqual([answer.opcode, answer.fin, answer.payload.toString() === text], [1, true, true], `${size}`);
  }
  const bytes = randomBytes(300_000);
  socket.send(2, bytes.subarray(0, 100_000), false);
  socket.send(9, "between");
  socket.send(0, bytes.subarray(100_000), true);
  let pong = null, whole = null;
  while (!pong || !whole) {
    const answer = await socket.read();
    if (answer.opcode === 10) pong = answer.payload.toString();
    else whole = answer.payload;
  }
  assert.equal(pong, "between");
  assert(whole.equals(bytes));
  await socket.close(1000);
  console.log("messages");
}

async function many(session) {
  const sockets = Array.from({ length: 40 }, () => new Socket(session, "/all"));
  for (const socket of sockets) assert.equal((await socket.response)[":status"], 200);
  assert.equal((await get(session, "/"))[0], 200); // beside them
  sockets[0].send(1, "to all");
  for (const socket of sockets) assert.equal((await socket.read()).payload.toString(), "to all");
  for (const socket of sockets.slice(0, 10)) socket.stream.close(http2.constants.NGHTTP2_CANCEL);
  await Promise.all(sockets.slice(0, 10).map((socket) => socket.closed));
  sockets[20].send(1, "to the rest");
  for (const socket of sockets.slice(10)) assert.equal((await socket.read()).payload.toString(), "to the rest");
  for (const socket of sockets.slice(10)) await socket.close(3000);
  console.log("many");
}

async function refused(session) {
  for (const [path, fields, status] of [
    ["/nobody/here", {}, 404],
    ["/echo", { "sec-websocket-version": "12" }, 426],
    ["/echo", { ":protocol": "something" }, 501],
  ]) {
    const socket = new Socket(session, path, fields);
    assert.equal((await socket.response)[":status"], status);
    await socket.closed;
  }
  const wrong = new Socket(session, "/echo");
  await wrong.response;
  wrong.stream.write(Buffer.from([0x81, 0x01, 0x61])); // not masked
  const answer = await wrong.read();
  assert.deepEqual([answer.opcode, answer.payload.readUInt16BE()], [8, 1002]);
  wrong.stream.end();
  await wrong.closed;
  assert.equal((await get(session, "/"))[0], 200);
  console.log("refused");
}

async function stopped(session) {
  const sockets = Array.from({ length: 5 }, () => new Socket(session, "/echo"));
  for (const socket of sockets) await socket.response;
  console.log("stop me");
  for (const socket of sockets) {
    const answer = await socket.read();
    assert.deepEqual([answer.opcode, answer.payload.readUInt16BE()], [8, 1001]);
    socket.send(8, [3, 233]);
    socket.stream.end();
    await socket.closed;
  }
  if (!session.closed && !session.destroyed) await once(session, "close");
}

const session = await connect();
await messages(session);
await many(session);
await refused(session);
await stopped(session);
console.log("all well");
