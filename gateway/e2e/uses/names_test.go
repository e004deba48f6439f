package uses_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/e2e"
)

var names = flag.Int("names", 150, "how many generated names are tried")

// pieces are what names are made of: all that means something to a URL, a router, a
// Vault policy or a path joiner, beside what does not.
func pieces() []string {
	return []string{
		":", "%", "#", "?", " ", "+", "~", "*", `\`, "&", "=", ";", ",", "@", "!", "$", "'", `"`, "(", ")", "[", "]", "{", "}", "{{", "<", ">", "|", "^", "`",
		".", "..", "...", "-", "_", "%2f", "%2F", "%2e", "%25", "%00", "ü", "ключ", "鍵", "🔑", "é", "a", "Z", "0", "host:5432", "metadata", ":metadata", ":undelete",
		"data", "app", "undefined", "null", "kv:", "secret",
	}
}

// generated is a name of one to three segments, the same ones in every run.
func generated(n int) []string {
	r := rand.New(rand.NewPCG(7, 7))
	all := map[string]bool{}
	for _, p := range pieces() {
		all[p] = true
		all["x"+p] = true
		all[p+"x"] = true
	}
	for len(all) < n {
		segments := make([]string, 1+r.IntN(3))
		for i := range segments {
			for range 1 + r.IntN(4) {
				segments[i] += pieces()[r.IntN(len(pieces()))]
			}
		}
		all[strings.Join(segments, "/")] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// escape escapes a path as a client does, or every character of it that is no letter.
func escape(path string, hard bool) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A")
		if hard {
			segments[i] = strings.NewReplacer("+", "%2B", "~", "%7E", "@", "%40", "=", "%3D", "&", "%26", "$", "%24").Replace(segments[i])
		}
	}
	if hard {
		return strings.Join(segments, "%2F") // generated clients escape the whole parameter
	}
	return strings.Join(segments, "/")
}

// Whatever Vault's own client writes can be listed, read and deleted through the
// gateway, or is refused with a reason; what Vault sees is the path that was decided on.
func TestEveryNameOfVaultsClient(t *testing.T) {
	w, c := newWorld(t), catalogue(t)
	cfg := api.DefaultConfig()
	cfg.Address = w.vault.Addr
	client, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(w.vault.Token)
	client.ClearNamespace()
	send := transports()
	vault, refused := witness{file: w.vault.AuditFile}, 0
	for i, name := range generated(*names) {
		kv := client.KVv2("secret")
		if _, err := kv.Put(t.Context(), "mcp/agent_api/"+name, map[string]any{"name": name}); err != nil {
			continue // Vault holds no such name
		}
		stored := strings.TrimPrefix(vault.path(t), "secret/data/mcp/agent_api/")
		if stored != name {
			continue // its client has changed the name: "a/../b"
		}
		resp, body := e2e.Do(t, http.MethodGet, w.gateway.URL+"/secrets/"+escape(name, i%2 == 0), "")
		if resp.StatusCode == http.StatusBadRequest {
			if !strings.Contains(string(body), "the path ") && !strings.Contains(string(body), "segment") {
				t.Errorf("%q: refused without a reason: %s", name, body)
			}
			refused++
			continue
		}
		var got struct {
			Data struct{ Name string }
		}
		if resp.StatusCode != 200 || json.Unmarshal(body, &got) != nil || got.Data.Name != name {
			t.Errorf("%q over REST: got %d %s", name, resp.StatusCode, body)
			continue
		}
		decided(t, &vault, name)
		full := "kv://secret/" + escape("mcp/agent_api/"+name, false)
		for _, path := range []string{name, full} {
			args, _ := json.Marshal(map[string]string{"path": path})
			out, code := send["mcp"](t, w, c.Get("kv.read"), string(args))
			if data, _ := out["data"].(map[string]any); code != "" || data["name"] != name {
				t.Errorf("%q over MCP as %s: got %s %v", name, path, code, out)
			}
			decided(t, &vault, name)
		}
		if i := strings.LastIndexByte(name, '/') + 1; !listed(t, w, name[:i], name[i:]) {
			t.Errorf("%q is not listed", name)
		}
		if resp, body := e2e.Do(t, http.MethodDelete, w.gateway.URL+"/kv/"+escape("secret/mcp/agent_api/"+name, false)+"?all=true", ""); resp.StatusCode != 204 {
			t.Errorf("%q: delete: got %d %s", name, resp.StatusCode, body)
		}
		if _, err := kv.Get(t.Context(), "mcp/agent_api/"+name); err == nil {
			t.Errorf("%q is still there", name)
		}
	}
	t.Logf("%d names, %d refused", len(generated(*names)), refused)
}

// witness reads Vault's own audit file, from where it was read last.
type witness struct {
	file string
	at   int64
	last string
}

// path is that of the last request about a secret that Vault has put on record.
func (v *witness) path(t *testing.T) string {
	t.Helper()
	f, err := os.Open(v.file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	more, err := io.ReadAll(io.NewSectionReader(f, v.at, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(more) {
		var r struct {
			Type    string
			Request struct{ Path string }
		}
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if v.at += int64(len(line)); json.Unmarshal(line, &r) == nil && r.Type == "request" && strings.HasPrefix(r.Request.Path, "secret/") {
			v.last = r.Request.Path
		}
	}
	return v.last
}

// decided compares the path that Vault saw with the one that was decided on.
func decided(t *testing.T, v *witness, name string) {
	t.Helper()
	if got, want := v.path(t), "secret/data/mcp/agent_api/"+name; got != want {
		t.Errorf("%q: Vault saw %q, want %q", name, got, want)
	}
}

func listed(t *testing.T, w world, folder, name string) bool {
	t.Helper()
	_, body := e2e.Do(t, http.MethodGet, w.gateway.URL+"/secrets?prefix="+url.QueryEscape(folder), "")
	var out struct{ Keys []string }
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(fmt.Errorf("list %q: %w", folder, err))
	}
	return slices.Contains(out.Keys, name)
}
