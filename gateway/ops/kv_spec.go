package ops

import (
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// kv is the KV engine of version 2 (Vault API, secret/kv/kv-v2). In further mounts it may
// be of version 1 (secret/kv/kv-v1), which has the first five operations and no versions.
func kv(at place) []*op.Op {
	spec := func(name string, effect op.Effect, method, verb string) op.Spec {
		return op.Spec{
			Name: "kv." + name, Engine: "kv", Mount: at.mount, More: at.more, Effect: effect, Method: method,
			Path: "/secrets/*path" + verb, FullPath: "/kv/*path" + verb,
			Idempotent: effect == op.Read || effect == op.List,
		}
	}
	read := spec("read", op.Read, "GET", "")
	read.Title, read.Doc = "Read a secret", "Read one version of a secret, the latest when none is named."
	read.Vault.Cacheable = true
	read.Needs, read.Tagged = need("data/{name}", "read"), true
	read.NeedsV1 = need("{name}", "read")
	read.Limits = limits{"version": notNegative()}

	many := spec("read_many", op.Read, "POST", "")
	many.Path, many.FullPath = "/secrets", ""
	many.Title, many.Doc = "Read several secrets", "Read up to 100 secrets; each is a call of its own and answers for itself."
	many.Limits = limits{"paths": {MaxItems: maxPaths, MaxBytes: maxPaths * (call.MaxRef + 3)}}

	write := spec("write", op.Write, "PUT", "")
	write.Title, write.Doc = "Write a secret", "Write a new version of a secret; with cas only if the current version has that number."
	write.Needs, write.Tagged, write.Replaces = need("data/{name}", "create", "update"), true, true
	write.NeedsV1 = need("{name}", "create", "update")
	write.Limits = limits{"cas": notNegative()}
	write.Hints = map[string]string{
		"metadata": "not an argument of a write; kv.set_metadata sets custom_metadata", "value": "not known: the keys and values go into data", "secret": "not known: the keys and values go into data",
	}

	list := spec("list", op.List, "GET", "")
	list.Path, list.FullPath = "/secrets", "/kv/*path/"
	list.Title = "List secrets"
	list.Doc = "List the names below a prefix, sorted; one that ends in a slash has names below it. For more, pass next as after."
	list.Needs, list.NeedsV1 = need("metadata/{name}", "list"), need("{name}", "list")
	list.Limits = limits{"limit": {Min: new(0.0), Max: new(float64(maxList))}, "after": {MaxBytes: call.MaxPath + 1}}

	del := spec("delete", op.Delete, "DELETE", "")
	del.Status, del.Replaces, del.Idempotent = 204, true, true
	del.Title = "Delete a secret"
	del.Doc = "Soft-delete the latest version of a secret, which can be undeleted; with all, remove every version and its metadata for good."
	del.Needs = append(append(need("data/{name}", "delete"), need("delete/{name}", "update")...), need("metadata/{name}", "read", "delete")...)
	del.NeedsV1 = need("{name}", "delete")
	del.Limits = limits{"cas": {Min: new(1.0)}, "versions": {MaxItems: maxVersions}}

	return append([]*op.Op{
		op.New(read, kvRead), op.NewMany(many, "kv.read", kvReadMany), op.New(write, kvWrite), op.New(list, kvList), op.New(del, kvDelete),
	}, kvVersions(spec)...)
}

// kvVersions are the operations on versions and metadata.
func kvVersions(spec func(name string, effect op.Effect, method, verb string) op.Spec) []*op.Op {
	patch := spec("patch", op.Write, "PATCH", "")
	patch.Title, patch.Doc = "Patch a secret", "Write a new version with some keys changed; a key whose value is null is removed (RFC 7396)."
	patch.Needs, patch.Tagged, patch.Replaces = need("data/{name}", "patch"), true, true
	patch.Limits = limits{"cas": notNegative()}

	undelete := spec("undelete", op.Write, "POST", ":undelete")
	undelete.Title, undelete.Doc, undelete.Idempotent = "Undelete versions", "Bring soft-deleted versions of a secret back.", true
	undelete.Needs = append(need("undelete/{name}", "update"), need("metadata/{name}", "read")...)
	undelete.Limits = limits{"versions": {MaxItems: maxVersions}}

	destroy := spec("destroy", op.Delete, "POST", ":destroy")
	destroy.Title, destroy.Doc, destroy.Idempotent = "Destroy versions", "Remove the data of versions of a secret for good.", true
	destroy.Needs, destroy.Destructive, destroy.Replaces = append(need("destroy/{name}", "update"), need("metadata/{name}", "read")...), true, true
	destroy.Limits = limits{"versions": {MaxItems: maxVersions}}

	metadata := spec("metadata", op.Read, "GET", ":metadata")
	metadata.Title, metadata.Doc = "Read a secret's metadata", "Read what is known of a secret and its versions, without any value."
	metadata.Needs = need("metadata/{name}", "read")

	set := spec("set_metadata", op.Write, "PATCH", ":metadata")
	set.Title, set.Replaces, set.Idempotent = "Set a secret's metadata", true, true
	set.Doc = "Set custom metadata, kept versions, cas_required or life of versions of a secret, also before its first write; what is absent stays."
	set.Needs = need("metadata/{name}", "patch", "create", "update", "read")
	set.Limits = limits{
		"custom_metadata": {MaxBytes: 64 << 10}, "max_versions": {Min: new(0.0), Max: new(float64(1 << 30))}, "delete_version_after": {MaxBytes: 32},
	}

	subkeys := spec("subkeys", op.Read, "GET", ":subkeys")
	subkeys.Title, subkeys.Doc = "Read a secret's structure", "Read the keys of a secret without their values, which are null."
	subkeys.Needs = need("subkeys/{name}", "read")
	subkeys.Limits = limits{"version": notNegative(), "depth": notNegative()}

	return []*op.Op{
		op.New(patch, kvPatch), op.New(undelete, kvUndelete), op.New(destroy, kvDestroy),
		op.New(metadata, kvMetadata), op.New(set, kvSetMetadata), op.New(subkeys, kvSubkeys),
	}
}

// Bounds of one call: the versions that it names, the secrets that it reads, the names
// that it lists, and lists over MCP when it does not say how many, since they go into
// the context of a model.
const (
	maxVersions = 1000
	maxPaths    = 100
	maxList     = 1_000_000
	defaultList = 200
)

func notNegative() op.Limit { return op.Limit{Min: new(0.0)} }
