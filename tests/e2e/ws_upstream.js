// A server to forward to, of npm's ws and node's http: node ws_upstream.js PORT
//
// /echo and /deflated (with permessage-deflate) echo messages, and close with 4001 at "close"; /all
// sends each to everybody on it. POST: the body back while it comes, with its X-Id; /early: 403
// without having read any of it.
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const server = createServer((request, response) => {
  response.on("error", () => {});
  response.setHeader("X-Id", request.headers["x-id"] ?? "");
  if (request.url.includes("/early/")) {
    response.writeHead(403, { "Content-Length": 5 });
    response.end("early");
    return;
  }
  request.on("error", () => {});
  request.pipe(response);
});

const plain = { noServer: true, maxPayload: 1 << 30 };
const endpoints = {
  "/echo": new WebSocketServer(plain),
  "/all": new WebSocketServer(plain),
  "/deflated": new WebSocketServer({ ...plain, perMessageDeflate: { threshold: 0 } }),
};

for (const [path, endpoint] of Object.entries(endpoints)) {
  endpoint.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data, binary) => {
      if (path === "/all") {
        for (const each of endpoint.clients) {
          if (each.readyState === WebSocket.OPEN) each.send(data, { binary });
        }
      } else if (!binary && data.toString() === "close") {
        socket.close(4001, "as you wish");
      } else {
        socket.send(data, { binary });
      }
    });
  });
}

server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => {});
  const endpoint = endpoints[request.url.slice(request.url.lastIndexOf("/"))];
  if (endpoint) {
    endpoint.handleUpgrade(request, socket, head, (made) => endpoint.emit("connection", made));
  } else {
    socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  }
});

server.listen(Number(process.argv[2]), "127.0.0.1", 1024, () => console.log("listens"));
