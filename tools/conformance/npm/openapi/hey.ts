// A client that hey-api generates: writes and reads a nested secret.
// Usage: hey.js URL KEY
import { client } from "./generated/client.gen";
import { kvRead, kvWrite, eventsTicket } from "./generated";

declare const process: { argv: string[] };

async function main(): Promise<void> {
  const [url, key] = process.argv.slice(2);
  client.setConfig({ baseUrl: url, headers: { "X-API-Key": key } });
  const path = "team/hey-api app"; // the client writes it team%2Fhey-api%20app
  const data = { user: "u", nested: { list: [1, "two"], deep: { on: true } } };

  const written = await kvWrite({ path: { path }, body: { data } });
  const version: number | undefined = written.data?.version;
  const read = await kvRead({ path: { path }, query: { version }, headers: { "X-Request-Id": "from-typescript", "X-Portcullis-Deliver": "plain" } });
  const nested: unknown = read.data?.data["nested"];
  const missing = await kvRead({ path: { path: "nothing-here" } });
  const code: string | undefined = missing.error?.error.code;
  const ticket = await eventsTicket({ query: { path: ["mcp/agent_api/" + path] } });
  const requestID = read.response?.headers.get("X-Request-Id");
  console.log(JSON.stringify({ version, nested, requestID, code, ticket: typeof ticket.data?.ticket, event: "resource.changed" }));
}

void main();
