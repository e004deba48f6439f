package e2e

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func (r *run) assert(verb, rest string) error {
	switch verb {
	case "status":
		return check(float64(r.resp.StatusCode), true, rest)
	case "header":
		name, rest, _ := strings.Cut(rest, " ")
		values := r.resp.Header.Values(name)
		return check(strings.Join(values, ", "), len(values) > 0, rest)
	case "text":
		return check(string(r.body), true, rest)
	case "within":
		limit, err := time.ParseDuration(rest)
		if err == nil && r.took > limit {
			err = fmt.Errorf("it took %s", r.took)
		}
		return err
	}
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		return err
	}
	if verb == "save" {
		name, path, _ := strings.Cut(rest, " ")
		got, ok := lookup(v, path)
		r.vars[name] = show(got)
		return check(got, ok, "exists")
	}
	path, rest, _ := strings.Cut(rest, " ")
	got, ok := lookup(v, path)
	return check(got, ok, rest)
}

// assertLines checks "count OP N" or "N PATH OP VALUE" of lines of an audit file.
func (r *run) assertLines(lines []map[string]any, rest string) error {
	which, rest, _ := strings.Cut(rest, " ")
	if which == "count" {
		return check(float64(len(lines)), true, rest)
	}
	all := make([]any, len(lines))
	for i, l := range lines {
		all[i] = l
	}
	path, rest, _ := strings.Cut(rest, " ")
	got, ok := lookup(all, "["+which+"]"+path)
	return check(got, ok, rest)
}

// lookup finds the value at a path such as .keys[0] or .data["a.b"] in decoded
// JSON. ok is false when there is none.
func lookup(v any, path string) (_ any, ok bool) {
	for path != "" && path != "." {
		m := pathRE.FindStringSubmatch(path)
		if m == nil {
			return nil, false
		}
		path = path[len(m[0]):]
		if m[3] != "" {
			if v, ok = index(v, m[3]); !ok {
				return nil, false
			}
			continue
		}
		obj, isObject := v.(map[string]any)
		if v, ok = obj[m[1]+m[2]]; !isObject || !ok {
			return nil, false
		}
	}
	return v, true
}

var pathRE = regexp.MustCompile(`^(?:\.([\w-]+)|\["([^"]+)"\]|\[(-?\d+)\])`)

// index returns an element of a list; -1 is the last one.
func index(v any, n string) (any, bool) {
	list, _ := v.([]any)
	i, _ := strconv.Atoi(n)
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// check compares a value with "OP VALUE". The error says what was there.
func check(got any, there bool, assertion string) error {
	op, want, _ := strings.Cut(strings.TrimSpace(assertion), " ")
	switch op {
	case "missing", "exists":
		if there == (op == "exists") {
			return nil
		}
		return fmt.Errorf("got %s, want it %s", show(got), op)
	}
	if !there {
		return fmt.Errorf("nothing is there, want it %s %s", op, want)
	}
	ok, err := compare(op, got, want)
	if err == nil && !ok {
		err = fmt.Errorf("got %s, want it %s %s", show(got), op, want)
	}
	return err
}

func compare(op string, got any, want string) (bool, error) {
	switch op {
	case "==":
		return equal(got, want), nil
	case "!=":
		return !equal(got, want), nil
	case "~", "!~":
		re, err := regexp.Compile(want)
		return err == nil && re.MatchString(show(got)) == (op == "~"), err
	case "<", ">":
		a, err := strconv.ParseFloat(show(got), 64)
		if err != nil {
			return false, err
		}
		b, err := strconv.ParseFloat(want, 64)
		return err == nil && (op == "<") == (a < b) && a != b, err
	case "contains":
		return contains(got, want), nil
	}
	return false, fmt.Errorf("unknown comparison %q", op)
}

// equal compares with a JSON value or, when want is none, with bare text.
func equal(got any, want string) bool {
	var v any
	if json.Unmarshal([]byte(want), &v) != nil {
		return show(got) == want
	}
	return reflect.DeepEqual(got, v) || show(got) == want
}

func contains(got any, want string) bool {
	list, ok := got.([]any)
	if !ok {
		return strings.Contains(show(got), want)
	}
	for _, v := range list {
		if equal(v, want) {
			return true
		}
	}
	return false
}

// show is a value as text: a string itself, anything else as JSON.
func show(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v) // decoded from JSON, so it can be encoded
	return string(raw)
}
