/* A recovery by the client of openapi-typescript and openapi-fetch: prints each state, reads the mailed code. */
import { createInterface } from "node:readline/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [url, identifier, password] = process.argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl: `${url}/api/v1` });

function good<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const start: components["schemas"]["Start"] = { identifier, locale: "zh-CN", system: "builtin" };
const { handle, secret } = good(await api.POST("/recoveries", { body: start }));
const headers = { Authorization: `Bearer ${secret}` };
const path = { handle };
console.log(good(await api.GET("/recoveries/{handle}", { params: { path }, headers })).state);
const code = String((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value);
const proof = { ...path, proof: "email_link" as const };
const verify = "/recoveries/{handle}/proofs/{proof}/verify";
console.log(good(await api.POST(verify, { params: { path: proof }, headers, body: { code } })).state);
const body = { new_password: password };
type Seen = { state: string; results?: { result: string }[] };
let chosen: Seen = good(await api.POST("/recoveries/{handle}/password", { params: { path }, headers, body }));
while (chosen.state === "applying") {
  chosen = good(await api.GET("/recoveries/{handle}", { params: { path }, headers }));
}
if (chosen.state !== "done") throw new Error(JSON.stringify(chosen));
console.log(chosen.state, chosen.results?.[0]?.result);
process.exit(0);
