package reconcile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/audit/reconcile"
)

// write writes a file of lines.
func write(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// request is what Vault has on record of a request with the gateway's token.
func request(id, correlation, data string) string {
	return fmt.Sprintf(`{"type":"response","time":"2026-11-27T10:00:00Z","auth":{"client_token":"hmac-t","display_name":"approle"},"request":{"id":%q,"operation":"read","path":"secret/data/app",`+
		`"headers":{"x-correlation-id":[%q]},"data":{%s}},"response":{"data":{"data":"hmac"}}}`, id, correlation, data)
}

func evidence(t *testing.T) string {
	t.Helper()
	return write(t,
		`{"seq":1,"type":"intent","time":"2026-11-27T10:00:00Z","decision_id":"d1","correlation_id":"d1","op":"kv.read","mount":"secret","path":"app"}`,
		`{"seq":2,"type":"outcome","time":"2026-11-27T10:00:00Z","decision_id":"d1","correlation_id":"d1","op":"kv.read","mount":"secret","path":"app","code":"ok","vault_requests":1}`, "")
}

// TestNoLineOfVaultsLogHidesAUse: who sends a request decides how long its line is, and
// what is not read is reported. Only the end of the file may be half a line.
func TestNoLineOfVaultsLogHidesAUse(t *testing.T) {
	parameters := `"p":"` + strings.Repeat("x", 3<<20) + `"`
	for name, c := range map[string]struct {
		line             string
		unknown, unreads int
	}{
		"short":         {request("r2", "", ""), 1, 0},
		"long":          {request("r2", "", parameters), 1, 0},
		"no JSON":       {`{"type":"response","request":{"id":"r2"`, 0, 1},
		"doubled names": {request("r2", "", `"a":1,"a":2`), 0, 1},
		"empty":         {"", 0, 0},
		"of the device": {`{"type":"request","time":"2026-11-27T10:00:00Z","request":{"operation":"update"}}`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			log := write(t, request("r1", "d1", ""), c.line, request("r3", "d1", "")[:40])
			r, err := reconcile.Run(reconcile.Config{Files: []string{evidence(t)}, VaultAudit: []string{log}})
			if err != nil || len(r.UnknownToUs) != c.unknown || len(r.Unreadable) != c.unreads || r.Matched != 1 {
				t.Fatalf("got %+v, %v", r, err)
			}
			if r.Differ() != (c.unknown+c.unreads > 0) {
				t.Error("whether anything differs is wrong")
			}
			var out bytes.Buffer
			if err := r.Write(&out, false); err != nil || c.unreads > 0 && !strings.Contains(out.String(), log+":2") {
				t.Errorf("the line is not named: %s, %v", &out, err)
			}
		})
	}
}

// TestEvidenceThatIsGoneAgreesWithNothing: where nothing is on record, nothing says which of
// Vault's requests are the gateway's, and that is no agreement.
func TestEvidenceThatIsGoneAgreesWithNothing(t *testing.T) {
	log := write(t, request("r1", "d1", ""), "")
	c := reconcile.Config{Files: []string{write(t, "")}, VaultAudit: []string{log}}
	if r, err := reconcile.Run(c); err == nil {
		t.Errorf("it agrees: %+v", r)
	}
	c.Everybody = true
	if r, err := reconcile.Run(c); err != nil || len(r.UnknownToUs) != 1 {
		t.Errorf("of everybody's requests: %+v, %v", r, err)
	}
}

// TestTheIdOfACallThatWasCutOffOpensNothing: a call without an outcome may have reached
// Vault, but not an hour later.
func TestTheIdOfACallThatWasCutOffOpensNothing(t *testing.T) {
	open := write(t, `{"seq":1,"type":"intent","time":"2026-11-27T10:00:00Z","decision_id":"d1","correlation_id":"d1","op":"kv.read","mount":"secret","path":"app"}`, "")
	late := strings.Replace(request("r2", "d1", ""), "T10:00", "T11:00", 1)
	r, err := reconcile.Run(reconcile.Config{Files: []string{open}, VaultAudit: []string{write(t, request("r1", "d1", ""), late, "")}})
	if err != nil || len(r.UnknownToUs) != 1 || r.UnknownToUs[0].Request != "r2" || r.Open != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestWhatPeopleReadIsOneLine: names that others have chosen cannot make up a difference,
// nor hide one.
func TestWhatPeopleReadIsOneLine(t *testing.T) {
	line := strings.Replace(request("r2", "", ""), "secret/data/app", `secret/\u001b[2K\n  agree`+"\u202e", 1)
	line = strings.Replace(line, `"read"`, `"read\r\u009b1A"`, 1)
	r, err := reconcile.Run(reconcile.Config{Files: []string{evidence(t)}, VaultAudit: []string{write(t, request("r1", "d1", ""), line, "")}})
	var out bytes.Buffer
	if err != nil || r.Write(&out, false) != nil || strings.Count(out.String(), "\n") != 6 || strings.ContainsAny(out.String(), "\x1b\r\u009b\u202e") {
		t.Errorf("got %q, %v", &out, err)
	}
}
