// Drives a gateway with the TypeScript SDK, version 2: v2.mjs URL KEY MODE, where
// MODE is legacy, auto or a revision to pin.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, mode] = process.argv.slice(2);
const path = `v2-${mode}`;
const uri = `kv://secret/mcp/agent_api/${path}`;
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "X-API-Key": key } } });
const client = new Client({ name: "v2-test", version: "1" }, {
  versionNegotiation: { mode: mode === "legacy" || mode === "auto" ? mode : { pin: mode } },
});
await client.connect(transport);
const { tools } = await client.listTools();
let resolve;
const updated = new Promise((r) => (resolve = r));
client.setNotificationHandler("notifications/resources/updated", (n) => resolve(n.params.uri));
let subscription;
if (mode === "legacy") await client.subscribeResource({ uri });
else subscription = await client.listen({ resourceSubscriptions: [uri], toolsListChanged: true });
const written = await client.callTool({ name: "kv.write", arguments: { path, data: { k: "v" } } });
const read = await client.readResource({ uri });
// The client holds each answer against the tool's outputSchema.
const less = [];
for (const deliver of ["masked", "wrapped"]) {
  for (const call of [{ name: "kv.read", arguments: { path: path } }, { name: "kv.write", arguments: { path: "less-" + path, data: { k: "v" } } }]) {
    less.push((await client.callTool({ ...call, _meta: { "portcullis/deliver": deliver } })).structuredContent);
  }
}
const refused = await client.callTool({ name: "kv.read", arguments: { path: "nothing/here" } });
const update = await updated;
await subscription?.close();
await client.close();
console.log(JSON.stringify({
  tools: tools.map((t) => t.name), version: written.structuredContent.version, update,
  read: JSON.parse(read.contents[0].text).data, less, refused: refused.structuredContent.error.code,
}));
process.exit(0);
