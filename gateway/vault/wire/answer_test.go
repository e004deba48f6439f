package wire_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/vault/verbatim"
	"portcullis/gateway/vault/wire"
)

// secret is what is read of the answer to a read.
type secret struct {
	Data    verbatim.Value `json:"data"`
	Version int            `json:"version"`
}

func (s *secret) Complete() bool        { return s.Version > 0 }
func (s *secret) Kept() *verbatim.Value { return &s.Data }

// TestMemoryIsGivenBack: the memory of an answer is given back once, by whoever has it as it
// came. Of an answer that cannot be used nothing stays, as its memory is used again.
func TestMemoryIsGivenBack(t *testing.T) {
	data := `"data":{"a":"` + strings.Repeat("obviously-fake ", 2000) + `"}`
	for name, c := range map[string]struct {
		answer     string
		kept, good bool
	}{
		"whole":        {`{"request_id":"1","data":{` + data + `,"version":1}}`, true, true},
		"with a copy":  {`{"request_id":"1","data":{"version":1},"x":{` + data + `}}`, false, true},
		"incomplete":   {`{"request_id":"1","data":{` + data + `}}`, false, false},
		"not Vault's":  {`{"data":{` + data + `,"version":1}}`, false, false},
		"with errors":  {`{"request_id":"1","data":{` + data + `,"version":1},"errors":["x"]}`, false, false},
		"cut off":      {`{"request_id":"1","data":{` + data + `,"version":1}`, false, false},
		"another type": {`{"request_id":"1","data":{` + data + `,"version":"1"}}`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s secret
			raw, a := []byte(c.answer), wire.WantData(&s)
			freed := 0
			if err := a.Decode(http.StatusOK, raw); (err == nil) != c.good {
				t.Fatalf("got %v", err)
			}
			if a.Free(raw, func() { freed++ }); c.kept != (s.Data.Raw() != nil) || c.kept == (freed == 1) {
				t.Fatalf("%d bytes are kept, and the memory was given back %d times", len(s.Data.Raw()), freed)
			}
			if !c.kept {
				return
			}
			s.Data.Lent(s.Data.Behind("{"))()
			if freed != 1 {
				t.Errorf("given back %d times", freed)
			}
		})
	}
}
