// A page over HTTP/2, and a WebSocket beside it. ARGV: URL FOLDER NETLOG. Prints the page's protocol
// and what the WebSocket was answered.
import { launch } from "./chromium.js";

const [url, folder, log] = process.argv.slice(2);
const context = await launch(folder, [`--log-net-log=${log}`, "--net-log-capture-mode=Everything"]);
const page = await context.newPage();
await page.goto(url);
console.log(await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol));
console.log(await page.evaluate(() => new Promise((done, failed) => {
  const socket = new WebSocket(location.origin.replace("https", "wss") + "/echo");
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => {
    socket.close();
    done(event.data);
  };
  socket.onerror = () => failed(new Error("the WebSocket has failed"));
})));
await context.close();
