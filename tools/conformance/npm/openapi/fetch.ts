// A client of openapi-typescript and openapi-fetch: writes and reads a nested secret.
// Usage: fetch.ts URL KEY
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: { argv: string[] };

const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });
const path = "team/openapi-fetch app"; // generated clients write it team%2Fopenapi-fetch%20app
const data = { user: "u", nested: { list: [1, "two"], deep: { on: true } } };

const written = await client.PUT("/secrets/{path}", { params: { path: { path } }, body: { data } });
if (written.error) throw new Error(written.error.error.message);
const version: number = written.data.version;

const read = await client.GET("/secrets/{path}", {
  params: { path: { path }, query: { version }, header: { "X-Request-Id": "from-typescript", "X-Portcullis-Deliver": "plain" } },
});
if (read.error) throw new Error(read.error.error.message);
const nested = read.data.data["nested"]; // unknown, so it has to be looked at
const requestID: string | null = read.response.headers.get("X-Request-Id");

const missing = await client.GET("/secrets/{path}", { params: { path: { path: "nothing-here" } } });
const code: components["schemas"]["Error"]["error"]["code"] | undefined = missing.error?.error.code;

const ticket = await client.POST("/events/ticket", { params: { query: { path: ["mcp/agent_api/" + path] } } });
const event: Pick<components["schemas"]["Event"], "type"> = { type: "resource.changed" };
console.log(JSON.stringify({ version, nested, requestID, code, ticket: typeof ticket.data?.ticket, event: event.type }));
