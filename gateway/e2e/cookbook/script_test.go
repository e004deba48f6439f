package cookbook_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// script is a text file about one recipe. A line that begins with # is a comment.
//
//	env KEY=VALUE           one variable of the gateway's configuration
//	replace FILE OLD => NEW a change of the recipe, as its reader makes one
//	data YAML               more data, for what the recipe leaves to its reader
//	caller NAME WORDS       who calls: claims of a token, as sub=alice roles=a,b; with
//	                        cert=NAME a certificate instead, with key=KEY an API key;
//	                        with for=NAME the token of that caller beside its own
//	vault PATH JSON         a write to Vault, for what has to be there as well
//	secret PATH             one that is there, with the fields user and password
//
// then what is expected; the calls are made over REST and as an MCP tool:
//
//	NAME OP {ARGS} -> ok    allowed and done; "passed": allowed, whatever Vault says
//	NAME OP {ARGS} -> CODE  refused with the code, and with the reason behind it if there
//	                        is one, or not even listed as a tool; words before the arguments are said with the call:
//	                        reason=, deliver=, wrap=, from=, client=
//	... -> ok shows A,B     the fields of the secret that is answered; hides A,B: masked
//	... -> ok dry RULE      and counted for a rule in dry run
//	... -> ok wrapped A,B   as a wrapping token, and what it unwraps to has these fields
//	... -> ok most NAME N   and a number of the answer is N at the most
//	... -> ok cached        made a second time, it is not decided again
//	NAME sees OP            its tools/list has the operation; "lacks OP": it has not
//
// A line "again" begins anew, with another gateway and the callers of before.
type script struct {
	env     []string
	data    []string
	replace [][3]string
	secrets []string
	vault   [][2]string
	callers map[string]map[string]string
	steps   []step
}

// step is one expectation.
type step struct {
	line         int
	who, op      string
	said         map[string]string
	args, expect string
}

var stepRE = regexp.MustCompile(`^(\w+) ([a-z]+\.\w+|sees|lacks)((?: \w+=(?:"[^"]*"|\S+))*)(?: (\{.*\}|[a-z]+\.\w+))?(?: -> (.+))?$`)

// read reads the parts of a file.
func read(t *testing.T, file string) []*script {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{callers: map[string]map[string]string{}}
	all := []*script{s}
	for i, line := range strings.Split(string(raw), "\n") {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case line == "again":
			s = &script{callers: s.callers}
			all = append(all, s)
		default:
			if err := s.add(i+1, line); err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
		}
	}
	return all
}

func (s *script) add(n int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "env":
		s.env = append(s.env, rest)
	case "secret":
		s.secrets = append(s.secrets, rest)
	case "caller":
		name, words, _ := strings.Cut(rest, " ")
		s.callers[name] = pairs(words)
	case "vault":
		path, body, _ := strings.Cut(rest, " ")
		s.vault = append(s.vault, [2]string{path, body})
	case "data":
		s.data = append(s.data, rest)
	case "replace":
		file, change, _ := strings.Cut(rest, " ")
		before, after, ok := strings.Cut(change, " => ")
		if !ok {
			return fmt.Errorf("no => in %q", line)
		}
		s.replace = append(s.replace, [3]string{file, before, after})
	default:
		m := stepRE.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("no step: %q", line)
		}
		s.steps = append(s.steps, step{n, m[1], m[2], pairs(m[3]), m[4], m[5]})
	}
	return nil
}

var pairRE = regexp.MustCompile(`([\w.:/]+)=("[^"]*"|\S+)`)

// pairs reads name=value, where a value with blanks is quoted.
func pairs(s string) map[string]string {
	out := map[string]string{}
	for _, m := range pairRE.FindAllStringSubmatch(s, -1) {
		out[m[1]] = strings.Trim(m[2], `"`)
	}
	return out
}
