// Drives a gateway with the TypeScript SDK, version 1: v1.mjs URL KEY.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, key] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "X-API-Key": key } } });
const client = new Client({ name: "v1-test", version: "1" });
await client.connect(transport);

const { tools } = await client.listTools();
const uri = "kv://secret/mcp/agent_api/v1";
const updated = new Promise((resolve) =>
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => resolve(n.params.uri)));
await client.subscribeResource({ uri });
const progress = [];
const written = await client.callTool({ name: "kv.write", arguments: { path: "v1", data: { k: "v" } } }, undefined, {
  onprogress: (p) => progress.push(p.progress),
});
const read = await client.readResource({ uri });
// The client holds each answer against the tool's outputSchema.
const less = [];
for (const deliver of ["masked", "wrapped"]) {
  for (const call of [{ name: "kv.read", arguments: { path: "v1" } }, { name: "kv.write", arguments: { path: "less-v1", data: { k: "v" } } }]) {
    less.push((await client.callTool({ ...call, _meta: { "portcullis/deliver": deliver } })).structuredContent);
  }
}
const refused = await client.callTool({ name: "kv.read", arguments: { path: "nothing/here" } });
const unknown = await client.callTool({ name: "kv.nope", arguments: {} }).catch((e) => e.code);
const prompts = await client.listPrompts();
const completed = await client.complete({ ref: { type: "ref/prompt", name: "rotate_secret" }, argument: { name: "path", value: "v" } });
const update = await updated;
await transport.terminateSession();
await client.close();
console.log(JSON.stringify({
  tools: tools.map((t) => t.name), version: written.structuredContent.version, progress, update,
  read: JSON.parse(read.contents[0].text).data, less, refused: refused.structuredContent.error.code, unknown,
  prompts: prompts.prompts.length, completed: completed.completion.values,
}));
