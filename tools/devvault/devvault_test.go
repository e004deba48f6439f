package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	devvault "portcullis/tools/devvault"
)

// TestMain makes the test binary a devvault when it is started as one: the
// tests drive real processes, because only a process can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("DEVVAULT_TEST_RUN") != "" {
		os.Exit(devvault.Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is a running devvault and its ready line.
type process struct {
	cmd    *exec.Cmd
	client *http.Client
	stderr bytes.Buffer

	Addr      string `json:"addr"`
	Token     string `json:"token"`
	UnsealKey string `json:"unseal_key"`
	RoleID    string `json:"role_id"`
	SecretID  string `json:"secret_id"`
	Standby   string `json:"standby"`
}

func launch(args ...string) (*process, error) {
	p := &process{client: http.DefaultClient}
	p.cmd = exec.Command(os.Args[0], append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "DEVVAULT_TEST_RUN=1")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w, %w: %s", err, p.cmd.Wait(), &p.stderr)
	}
	return p, json.Unmarshal(line, p)
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p, err := launch(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a crash would. It may be called again.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// object is any JSON object.
type object = map[string]any

// send returns the status and the decoded answer, nil for an empty one.
func (p *process) send(token, method, path string, body object) (int, object, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequest(method, p.Addr+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	var out object
	err = json.NewDecoder(resp.Body).Decode(&out)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return resp.StatusCode, out, err
}

// want sends and insists on the status. It returns the answer's part called
// part ("data", "auth"), or the whole answer for "".
func (p *process) want(t *testing.T, status int, c call) object {
	t.Helper()
	got, out, err := p.send(c.token, c.method, c.path, c.body)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	if got != status {
		t.Fatalf("%s %s: status %d, want %d: %v", c.method, c.path, got, status, out)
	}
	if c.part == "" {
		return out
	}
	part, _ := out[c.part].(object)
	return part
}

type call struct {
	token, method, path string
	body                object
	part                string
}

func get(token, path string) call {
	return call{token: token, method: "GET", path: path, part: "data"}
}

func post(token, path string, body object) call {
	return call{token: token, method: "POST", path: path, body: body, part: "data"}
}

// auth is a post whose answer is a token.
func auth(token, path string, body object) call {
	return call{token: token, method: "POST", path: path, body: body, part: "auth"}
}

func field(t *testing.T, o object, name string) string {
	t.Helper()
	s, _ := o[name].(string)
	if s == "" {
		t.Fatalf("no %s in %v", name, o)
	}
	return s
}

// login is the gateway's first call.
func (p *process) login(t *testing.T) string {
	t.Helper()
	out := p.want(t, 200, auth("", "auth/approle/login", object{"role_id": p.RoleID, "secret_id": p.SecretID}))
	return field(t, out, "client_token")
}

// putKV writes {"v": value} and readKV reads it back.
func (p *process) putKV(t *testing.T, path, value string) {
	t.Helper()
	p.want(t, 200, post(p.Token, "secret/data/"+path, object{"data": object{"v": value}}))
}

func (p *process) wantKV(t *testing.T, path, value string) {
	t.Helper()
	data, _ := p.want(t, 200, get(p.Token, "secret/data/"+path))["data"].(object)
	if data["v"] != value {
		t.Errorf("%s: got %v, want %s", path, data["v"], value)
	}
}

func Example() {
	p, err := launch("--root-token", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.kill()
	p.send(p.Token, "POST", "secret/data/app", object{"data": object{"color": "green"}})
	_, out, _ := p.send(p.Token, "GET", "secret/data/app", nil)
	fmt.Println(p.Token, out["data"].(object)["data"])
	fmt.Println(strings.HasPrefix(p.Addr, "http://127.0.0.1:"))
	// Output:
	// example map[color:green]
	// true
}
