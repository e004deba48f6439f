package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Script is a text file of steps, run from top to bottom. A line that begins with
// # is a comment. The head says how the gateway is started:
//
//	env KEY=VALUE            one variable of the gateway's environment
//	vault own ARGS           a dev Vault for this script alone
//	key NAME                 the API key of every request, dev-api-key otherwise
//	before COMMAND           a shell command that succeeds, before the gateway starts
//	alone REASON             one gateway also where tests run with three replicas: why the
//	                         script looks at one process
//
// Then come requests and what is expected of their answers:
//
//	PUT /secrets/app         a request; "61 times GET /x" sends it 61 times
//	with NAME: VALUE         a header of this request; an empty value removes it
//	{"data":{"a":"1"}}       the body: every line that begins with { or [,
//	body TEXT                or with the word body
//	call kv.read {"path":..} short for tools/call at /mcp/rpc
//	rpc METHOD {...}         short for any JSON-RPC request at /mcp/rpc
//
//	status == 200            the status
//	header NAME OP VALUE     a header
//	json PATH OP VALUE       a value of the body: .keys[0], .result.content[0].text
//	text OP VALUE            the whole body
//	within 1s                the answer came in that time
//	vault count OP N         requests that reached Vault during the last step, but
//	                         for those about the gateway's own token
//	vault N PATH OP VALUE    one of them in Vault's own audit file, -1 is the last
//	audit count OP N         lines written to the gateway's audit file, likewise, without
//	                         those of type upkeep
//	audit N PATH OP VALUE
//	save NAME PATH           keep a value of the body as ${NAME}
//
// and steps that happen outside:
//
//	gateway stop|kill|start  end the gateway, or crash it; start it again
//	vault stop|start|seal|unseal
//	sh COMMAND               a shell command that succeeds, or with "sh!" fails;
//	                         its output is what text and json then look at
//
// OP is == or != with a JSON value or bare text, ~ or !~ with a regular expression,
// < or > with a number, "contains TEXT", "exists" or "missing". ${repeat:N:TEXT}
// repeats a text, ${URL}, ${ADMIN_URL}, ${DIR}, ${LOGS}, ${VAULT_ADDR}, ${VAULT_TOKEN},
// ${ROOT} and ${PID} are set, ${env:NAME} is a variable of the test's own environment, and
// ${jwt:sub=reader scopes=read,list} is a bearer token that the gateway's
// JWT_HS256_SECRET has signed.
type Script struct {
	File  string
	Env   []string
	Key   string
	Vault []string // arguments of a dev Vault of its own, nil when it needs none
	// Before are the commands that prepare what the gateway starts with.
	Before []string
	Alone  string // why it is about one gateway, empty when any number serves
	steps  []step
}

// step is one line, or a request with its headers and body.
type step struct {
	line    int
	verb    string
	rest    string
	times   int
	headers []string
	body    string
}

var requestRE = regexp.MustCompile(`^(?:(\d+) times )?(GET|PUT|POST|PATCH|DELETE|OPTIONS|HEAD|call|rpc) (.+)$`)

// verbs are the words that a line may begin with, beside requests.
const verbs = " status header json text within vault audit save gateway sh sh! "

// ReadScript reads a script. Errors name file and line.
func ReadScript(file string) (*Script, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Script{File: file, Key: Key}
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.add(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	return s, nil
}

func (s *Script) add(n int, line string) error {
	if m := requestRE.FindStringSubmatch(line); m != nil {
		times, _ := strconv.Atoi(m[1]) // empty: once
		s.steps = append(s.steps, step{line: n, verb: m[2], rest: m[3], times: max(times, 1)})
		return nil
	}
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "env" || word == "key" || word == "before" || word == "alone" || line == "vault own" || strings.HasPrefix(line, "vault own "):
		return s.head(word, rest)
	case word == "with" || word == "body" || line[0] == '{' || line[0] == '[':
		return s.part(word, line)
	case strings.Contains(verbs, " "+word+" "):
		s.steps = append(s.steps, step{line: n, verb: word, rest: rest})
		return nil
	}
	return fmt.Errorf("unknown step %q", line)
}

func (s *Script) head(word, rest string) error {
	if len(s.steps) > 0 {
		return fmt.Errorf("%s belongs to the head of the script", word)
	}
	switch word {
	case "env":
		s.Env = append(s.Env, rest)
	case "key":
		s.Key = rest
	case "before":
		s.Before = append(s.Before, rest)
	case "alone":
		s.Alone = rest
	default:
		s.Vault = strings.Fields(rest)[1:]
	}
	return nil
}

// part adds a header or a line of the body to the request above it.
func (s *Script) part(word, line string) error {
	if len(s.steps) == 0 || s.steps[len(s.steps)-1].times == 0 {
		return fmt.Errorf("there is no request above %q", line)
	}
	st := &s.steps[len(s.steps)-1]
	if word == "with" {
		st.headers = append(st.headers, strings.TrimPrefix(line, "with "))
		return nil
	}
	st.body += strings.TrimPrefix(line, "body ")
	return nil
}
