// Sends the records on standard input with gelf-pro: gelf_sockets.mjs udp|tcp PORT
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import gelf from "gelf-pro";

const require = createRequire(import.meta.url);
const [kind, port] = process.argv.slice(2);
gelf.setConfig({ adapterName: kind, adapterOptions: { host: "127.0.0.1", port: Number(port) } });
for (const { level, message, n } of JSON.parse(readFileSync(0, "utf8"))) {
  await new Promise((done, failed) =>
    gelf.message(message, level, { n, host: "web1" }, (error) => (error ? failed(error) : done())),
  );
}
console.log(JSON.stringify({ version: JSON.parse(readFileSync(require.resolve("gelf-pro/package.json"))).version }));
process.exit(0);
