package document

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// Measure notes names and sizes of the fields that a call writes, and how many items a
// batch has. It parses the arguments, so it is only done for a policy that reads them.
func (f *Facts) Measure(b *op.Bound) {
	var args struct {
		Data  map[string]jsontext.Value `json:"data"`
		Items []jsontext.Value          `json:"items"`
	}
	if json.Unmarshal(b.Request.Args, &args) != nil {
		return // data of another form, as of an operation that writes no fields
	}
	f.Items, f.Fields = len(args.Items), make(map[string]int, len(args.Data))
	for name, v := range args.Data {
		f.Fields[name] = size(v)
	}
}

// size is the length of a text in bytes, and of anything else as JSON.
func size(v jsontext.Value) int {
	if v.Kind() == '"' {
		var s string
		if json.Unmarshal(v, &s) == nil {
			return len(s)
		}
	}
	_ = v.Compact() // it has been parsed
	return len(v)
}

// asked is for how many seconds a call asks for a lease or a certificate, 0 when it
// does not say.
func asked(b *op.Bound) int {
	if !slices.Contains(b.Keys, "ttl") && !slices.Contains(b.Keys, "increment") {
		return 0
	}
	var args struct {
		TTL       jsontext.Value `json:"ttl"`
		Increment jsontext.Value `json:"increment"`
	}
	if json.Unmarshal(b.Request.Args, &args) != nil {
		return 0
	}
	if args.TTL == nil {
		args.TTL = args.Increment
	}
	return seconds(strings.Trim(string(args.TTL), `"`))
}

// seconds reads a time as Vault takes it: seconds, or a duration such as 30m or 2d.
func seconds(s string) int {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return int(n)
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return n * 24 * 60 * 60
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return int(d / time.Second)
}
