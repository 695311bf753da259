// e2e_deflate_server as npm's ws sees it: node deflate_client.js URL BITS [takeover]
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [url, bits, takeover] = process.argv.slice(2);

// A client that keeps what comes, so that nothing is lost between two waits.
async function connect(perMessageDeflate) {
  const socket = new WebSocket(url, { perMessageDeflate, maxPayload: 1 << 30 });
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

async function close(socket) {
  const closed = once(socket, "close");
  socket.close(1000);
  return (await closed)[0];
}

function textOf(number, size) {
  let text = "";
  for (let i = 0; text.length < size; i++) text += `{"item":${(i * number) % 41},"näme":"${i % 9}"},`;
  return text.slice(0, size);
}

// The next message, but for broadcasts of the exchange before: a shard that had no client then may
// come to them when this client is there.
async function receive(socket, number) {
  for (;;) {
    const message = await socket.next();
    if (!message.toString().startsWith(`all:${number - 1}:`)) return message;
  }
}

async function exchange(socket, others, number) {
  for (let turn = 0; turn < 5; turn++) {
    for (const size of [1, 60, 900, 50000]) {
      socket.send(textOf(number + turn, size), { compress: true });
      assert.equal(await receive(socket, number), textOf(number + turn, size));
    }
    for (const word of ["later:", "all:"]) {
      const message = `${word}${number}:${textOf(number + turn, 700)}`;
      socket.send(message, { compress: true });
      for (const each of word === "all:" ? [socket, ...others] : [socket]) {
        assert.equal(await each.next(), message);
      }
    }
    const noise = Buffer.concat([randomBytes(3000), Buffer.alloc(2000)]);
    socket.send(noise, { compress: turn % 2 === 0 });
    assert.deepEqual(await socket.next(), noise);
    for (let i = 0; i < 20; i++) socket.send(textOf(i, 40), { fin: i === 19, compress: true });
    assert.equal(await socket.next(), Array.from({ length: 20 }, (_, i) => textOf(i, 40)).join(""));
  }
}

const plain = await connect(false);
const other = await connect(true);
assert.match(other.extensions, /^permessage-deflate/);
let number = 1;
for (const serverMaxWindowBits of [undefined, 8, 15]) {
  for (const clientMaxWindowBits of [undefined, 9, 15]) {
    for (const serverNoContextTakeover of [undefined, true]) {
      for (const clientNoContextTakeover of [undefined, true]) {
        const offer = { threshold: 0 };
        if (serverMaxWindowBits) offer.serverMaxWindowBits = serverMaxWindowBits;
        if (clientMaxWindowBits) offer.clientMaxWindowBits = clientMaxWindowBits;
        if (serverNoContextTakeover) offer.serverNoContextTakeover = true;
        if (clientNoContextTakeover) offer.clientNoContextTakeover = true;
        const socket = await connect(offer);
        assert.match(socket.extensions, /^permessage-deflate/, JSON.stringify(offer));
        const agreed = socket._extensions["permessage-deflate"].params;
        assert.equal(!!agreed.server_no_context_takeover, !takeover || !!serverNoContextTakeover);
        assert.equal(!!agreed.client_no_context_takeover, !takeover || !!clientNoContextTakeover);
        await exchange(socket, [plain, other], number++);
        assert.equal(await close(socket), 1000);
      }
    }
  }
}

// 100 MiB of nothing, in one message and in fragments: 256 KiB are taken.
for (const pieces of [1, 100]) {
  const socket = await connect({ threshold: 0 });
  socket.on("error", () => {});  // the server may have gone before all was sent
  const closed = once(socket, "close");
  for (let i = 1; i <= pieces; i++) {
    socket.send(Buffer.alloc((100 << 20) / pieces), { fin: i === pieces, compress: true });
  }
  assert.equal((await closed)[0], 1009);
}
assert.equal(await close(plain), 1000);
assert.equal(await close(other), 1000);
console.log(`${number - 1} combinations with ${bits} bits${takeover ? " and takeover" : ""}`);
console.log("all well");
