// Preloaded into the official suite, which cannot send a credential: adds the API
// key in CREDENTIAL to every request to TARGET that Node's fetch, undici or http make.
import { subscribe } from "node:diagnostics_channel";

const { CREDENTIAL: key, TARGET: target } = process.env;
subscribe("undici:request:create", ({ request }) => {
  if (request.origin === target) request.addHeader("X-API-Key", key);
});
subscribe("http.client.request.created", ({ request }) => {
  if (request.host === new URL(target).hostname) request.setHeader("X-API-Key", key);
});
