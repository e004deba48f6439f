"""The common calls of hvac, through the gateway or against Vault. The environment has
VAULT_ADDR, VAULT_TOKEN and CALLER, below whose name it writes; what a line says must be the same for both."""
import os
import hvac

c = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
kv = c.secrets.kv.v2
own = "mcp/" + os.environ["CALLER"]
path = own + "/hvac"


def failed(f):
    try:
        f()
    except hvac.exceptions.VaultError as e:
        return type(e).__name__
    return "no error"


print("authenticated", c.is_authenticated(), "sealed", c.sys.is_sealed())
kv.create_or_update_secret(path=path, secret={"a": "1"}, cas=0)
print("cas", failed(lambda: kv.create_or_update_secret(path=path, secret={"a": "1"}, cas=0)))
kv.patch(path=path, secret={"b": "2"})
r = kv.read_secret_version(path=path)
print("read", r["data"]["data"], r["data"]["metadata"]["version"])
print("list", kv.list_secrets(path=own)["data"]["keys"])
print("metadata", kv.read_secret_metadata(path=path)["data"]["current_version"])
kv.delete_latest_version_of_secret(path=path)
print("deleted", failed(lambda: kv.read_secret_version(path=path)))
kv.undelete_secret_versions(path=path, versions=[2])
kv.destroy_secret_versions(path=path, versions=[1])
print("version", kv.read_secret_version(path=path)["data"]["metadata"]["version"])
kv.delete_metadata_and_all_versions(path=path)
print("gone", failed(lambda: kv.read_secret_version(path=path)))
t = c.secrets.transit
sealed = t.encrypt_data(name="mcp", plaintext="aGk=")["data"]["ciphertext"]
print("transit", t.decrypt_data(name="mcp", ciphertext=sealed)["data"]["plaintext"])
print("capabilities", "deny" in str(c.sys.get_capabilities(paths=["secret/data/" + path])))
print("lookup", c.lookup_token()["data"]["id"] == os.environ["VAULT_TOKEN"])
