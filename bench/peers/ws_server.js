// bench/peers/ws_server.js - Node's http and npm's ws as a peer of bench/compare.
//
//   node ws_server.js PORT FOLDER_WITH_NODE_MODULES
"use strict";
const { createRequire } = require("node:module");
const http = require("node:http");
const path = require("node:path");

const [port, modules] = process.argv.slice(2);
const { WebSocketServer } = createRequire(path.join(modules, "package.json"))("ws");

const HELLO = "Hello, World!";

function json() {
  const items = [];
  for (let i = 0; i < 23; i++) {
    items.push(`{"id":${10000000 + i},"name":"item ${10000000 + i}","price":${1000000 + i}.50,` +
               `"stock":${100000 + 7 * i},"in_stock":true}`);
  }
  return `[${items.join(",")}]`;
}

function answer(response, type, body) {
  response.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

const server = http.createServer((request, response) => {
  if (request.method === "POST") {
    request.on("data", () => {});
    request.on("end", () => answer(response, "text/plain", HELLO));
  } else if (request.url === "/json") {
    answer(response, "application/json", json());
  } else {
    answer(response, "text/plain", HELLO);
  }
});
server.keepAliveTimeout = 600_000;
server.requestTimeout = 0;  // its default ends uploads that take longer than five minutes

const options = { noServer: true, perMessageDeflate: false };
const echo = new WebSocketServer(options);
const all = new WebSocketServer(options);
echo.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
all.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => {
    for (const client of all.clients) client.send(data, { binary });
  });
});
server.on("upgrade", (request, socket, head) => {
  const target = request.url === "/bc" ? all : echo;
  target.handleUpgrade(request, socket, head,
                       (client) => target.emit("connection", client, request));
});
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
