package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/store/redis"
)

// TestAReplicaAsksAnother: by name, and hears nothing of one that is not there or has nothing
// to say.
func TestAReplicaAsksAnother(t *testing.T) {
	r := server(t)
	var replicas []*redis.Questions
	for _, name := range []string{"a", "b"} {
		q := open(t, r.URL()).NewQuestions("test", name)
		run(t, func(ctx context.Context) {
			q.Run(ctx, nil, func(question []byte) []byte {
				if string(question) == "nothing" {
					return nil
				}
				return []byte(name + " says " + strings.ToUpper(string(question)))
			})
		})
		replicas = append(replicas, q)
	}
	ask := func(whom, question string) (string, error) {
		answer, err := replicas[0].Ask(t.Context(), whom, []byte(question))
		return string(answer), err
	}
	e2e.Eventually(t, "an answer", func() bool { got, err := ask("b", "x"); return got == "b says X" && err == nil })
	for _, c := range [][2]string{{"b", "nothing"}, {"c", "x"}} {
		if got, err := ask(c[0], c[1]); got != "" || err != nil {
			t.Errorf("%v: got %q, %v", c, got, err)
		}
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask("b", "x"); !errors.Is(err, redis.ErrAway) {
		t.Errorf("without Redis: got %v", err)
	}
}
