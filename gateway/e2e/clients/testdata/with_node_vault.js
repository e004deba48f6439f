// The common calls of node-vault, through the gateway or against Vault. The environment has
// VAULT_ADDR, VAULT_TOKEN and CALLER, below whose name it writes; what a line says must be the same for both.
const vault = require("node-vault")({ endpoint: process.env.VAULT_ADDR, token: process.env.VAULT_TOKEN });
const own = "mcp/" + process.env.CALLER;
const path = `secret/data/${own}/node`;

async function failed(call) {
  try {
    await call();
  } catch (e) {
    return e.response ? e.response.statusCode : e.message;
  }
  return "no error";
}

(async () => {
  const health = await vault.health();
  console.log("health", health.initialized, health.sealed);
  await vault.write(path, { data: { a: "1" } });
  console.log("read", (await vault.read(path)).data.data);
  console.log("list", (await vault.list(`secret/metadata/${own}`)).data.keys);
  console.log("lookup", (await vault.tokenLookupSelf()).data.id === process.env.VAULT_TOKEN);
  const sealed = (await vault.write("transit/encrypt/mcp", { plaintext: "aGk=" })).data.ciphertext;
  console.log("transit", (await vault.write("transit/decrypt/mcp", { ciphertext: sealed })).data.plaintext);
  await vault.delete(`secret/metadata/${own}/node`);
  console.log("gone", await failed(() => vault.read(path)));
  console.log("bad token", await failed(() => require("node-vault")({ endpoint: process.env.VAULT_ADDR, token: "none" }).read(path)));
})().catch((e) => {
  console.log("failed", e.message);
  process.exit(1);
});
