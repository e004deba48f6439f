package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/files"
	"portcullis/gateway/mcp"
	"portcullis/gateway/mcp/bridge"
	"portcullis/gateway/server"
)

type stdioCmd struct {
	URL       string `help:"Address of a running gateway; without it the gateway runs in this process." placeholder:"URL"`
	KeyFile   string `name:"api-key-file" help:"File that holds an API key." type:"path" placeholder:"FILE"`
	TokenFile string `name:"token-file" help:"File that holds a bearer token; it is read again for each message." type:"path" placeholder:"FILE"`
	File      string `name:"config" help:"Configuration file, when the gateway runs in this process." type:"path" placeholder:"FILE"`
	Toolsets  string `help:"Show the tools of these engines alone, separated by commas." placeholder:"kv,transit"`
	ReadOnly  bool   `name:"readonly" help:"Show only tools that change nothing."`
}

// Help is the end of the command's help.
func (stdioCmd) Help() string {
	return "The credential comes from one of the files, or from PORTCULLIS_API_KEY. Why a message " +
		"could not be carried is its answer, and on stderr; when none could be, the exit code is 1.\n\n" + examples(
		"portcullis stdio --url http://127.0.0.1:8089 --api-key-file key.txt",
		"portcullis stdio --url http://127.0.0.1:8089 --api-key-file key.txt --toolsets kv --readonly",
		"VAULT_ADDR=http://127.0.0.1:8200 portcullis stdio --config portcullis.toml --api-key-file key.txt",
	)
}

// Run serves one client on stdin and stdout until stdin ends.
func (s stdioCmd) Run() error {
	if _, err := s.credential(); err != nil {
		return usageError{err}
	}
	if u, err := url.Parse(s.URL); s.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return usageError{errors.New("--url: not an http or https URL")}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a client that reads no more ends the serving, and not the process in its middle
	if s.URL != "" {
		return s.remote(ctx)
	}
	return s.here(ctx)
}

// remote carries the messages to a running gateway.
func (s stdioCmd) remote(ctx context.Context) error {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.ResponseHeaderTimeout = answerTimeout
	var said report
	b := &bridge.Bridge{
		URL: endpoint(s.URL), Out: os.Stdout, Sign: s.sign, Credential: s.source(), Report: said.took,
		Header: mcp.View{Toolsets: []string{s.Toolsets}, ReadOnly: s.ReadOnly}.Header(),
		// A redirect would carry the credential to a place that nobody named.
		Client: &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	return said.last(ended(ctx, b.Serve(ctx, os.Stdin)))
}

// answerTimeout is how long a gateway may take to begin its answer: longer than it
// waits for Vault.
const answerTimeout = 2 * time.Minute

// endpoint is where the gateway answers MCP; a URL that names the path already is taken as it is.
func endpoint(u string) string {
	return strings.TrimSuffix(strings.TrimSuffix(u, "/"), "/mcp") + "/mcp"
}

// report writes to stderr why messages are not carried, each reason once
// in a row.
type report struct {
	mu   sync.Mutex // guards what follows
	text string     // that was said last
	good bool       // something has been carried
}

// took hears what came of a message.
func (r *report) took(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.good = true
		return
	}
	if r.text != err.Error() {
		r.text = err.Error()
		fmt.Fprintln(complaints(), "portcullis:", r.text)
	}
}

// last is the end of the command: it has failed when nothing could be carried, about
// which no further word is needed.
func (r *report) last(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.good || r.text == "" {
		return err
	}
	return foundError{errors.New(r.text)}
}

// here runs the gateway in this process, without a listener.
func (s stdioCmd) here(ctx context.Context) error {
	c, err := load(ctx, config.Source{File: s.File})
	if err != nil {
		return err
	}
	if c.AuditFile == audit.Stdout {
		return usageError{errors.New("AUDIT_FILE: stdout carries the client's messages; name a file")}
	}
	g, err := server.New(ctx, c, server.Options{Stderr: os.Stderr, Stdio: true, Version: version})
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	view, err := mcp.ParseView(s.Toolsets, strconv.FormatBool(s.ReadOnly), g.MCP().Toolsets())
	if err != nil {
		return usageError{fmt.Errorf("--toolsets: %w", err)}
	}
	background, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); g.Run(background) }()
	var said report
	st := &mcp.Stdio{Server: g.MCP(), View: view, Out: os.Stdout, Who: func() (*call.Caller, error) { return s.known(g, &said) }}
	err = said.last(ended(ctx, st.Serve(ctx, os.Stdin)))
	stop()
	<-done
	g.EndStreams()
	last, end := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer end()
	return errors.Join(err, g.Close(last))
}

// closeTimeout is how long the gateway in this process may take to give its Vault token
// back: the client waits for the process to end.
const closeTimeout = 3 * time.Second

// who authenticates like a request over loopback would be.
func (s stdioCmd) who(g *server.Server) (*call.Caller, error) {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}, RemoteAddr: "127.0.0.1:0", Host: "localhost"}
	if err := s.sign(r); err != nil {
		return nil, err
	}
	return g.Authenticate(r)
}

// known is who, and says what is wrong with a credential and where it comes from.
func (s stdioCmd) known(g *server.Server, said *report) (*call.Caller, error) {
	c, err := s.who(g)
	if err == nil {
		said.took(nil)
		return c, nil
	}
	e, ok := errors.AsType[*call.Error](err)
	if !ok {
		e = call.Errorf(call.Unauthenticated, "%v", err)
	} else {
		e = call.Errorf(e.Code, "the gateway does not accept the credential from %s (%s)", s.source(), e.Code)
	}
	said.took(errors.New(e.Msg))
	return nil, e
}

// ended is the error of serving, none when it was told to stop.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sign adds the credential to a request.
func (s stdioCmd) sign(r *http.Request) error {
	secret, err := s.credential()
	if err != nil {
		return err
	}
	if s.TokenFile != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
		return nil
	}
	r.Header.Set("X-Api-Key", secret)
	return nil
}

var errNoCredential = errors.New("stdio needs one of --api-key-file, --token-file and PORTCULLIS_API_KEY")

// source is where the credential comes from.
func (s stdioCmd) source() string {
	switch {
	case s.TokenFile != "":
		return "--token-file " + s.TokenFile
	case s.KeyFile != "":
		return "--api-key-file " + s.KeyFile
	default:
		return "PORTCULLIS_API_KEY"
	}
}

func (s stdioCmd) credential() (string, error) {
	file := s.KeyFile + s.TokenFile
	if s.KeyFile != "" && s.TokenFile != "" {
		return "", errNoCredential
	}
	secret := os.Getenv("PORTCULLIS_API_KEY")
	if file != "" {
		b, err := files.Read(file)
		if err != nil {
			return "", fmt.Errorf("read the credential: %w", err)
		}
		if secret = strings.TrimSpace(string(b)); secret == "" {
			return "", fmt.Errorf("%s is empty", file)
		}
	}
	if secret == "" {
		return "", errNoCredential
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s: a credential is one word, without line breaks", s.source())
	}
	return secret, nil
}
