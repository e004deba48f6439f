package changes_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// onceRows say what a reader is told, by the order in which the gateway learns of
// changes. Each step is one way of learning of a change of a secret with the version
// that the secret then has, 0 when it is not said: own, the gateway's own call; ext, the
// source under test (Vault's audit records or Vault's events); poll, a poll. The step
// late waits until nothing belongs together any more.
var onceRows = []struct{ steps, want string }{
	// one change, one source
	{"own 2", "own 2"},
	{"ext 2", "ext 2"},
	{"ext 0", "ext 0"},
	{"poll 2", "poll 2"},

	// the gateway's own change and the source: one for one, in both orders, whatever the version
	{"own 2, ext 2", "own 2"},
	{"own 2, ext 0", "own 2"},
	{"own 0, ext 2", "own 0"},
	{"own 2, ext 3", "own 2"},
	{"own 2, ext 1", "own 2"},
	{"ext 2, own 2", "own 2"},
	{"ext 0, own 2", "own 2"},
	{"ext 2, own 0", "own 0"},
	{"ext 3, own 2", "own 2"},
	{"ext 1, own 2", "own 2"},
	{"own 2, own 3, ext 3, ext 2", "own 2, own 3"},
	{"ext 2, own 2, own 3, ext 3", "own 2, own 3"},
	{"own 2, ext 2, ext 3", "own 2, ext 3"},
	{"ext 2, ext 3, own 3", "own 3, ext 3"},
	{"ext 2, ext 3", "ext 2, ext 3"},
	{"own 2, late, ext 2", "own 2, ext 2"},
	{"ext 2, late, own 2", "ext 2, own 2"},

	// a poll and the source: once when the version is not newer than the polled one
	{"poll 2, ext 2", "poll 2"},
	{"poll 2, ext 1", "poll 2"},
	{"poll 2, ext 0", "poll 2"},
	{"poll 2, ext 3", "poll 2, ext 3"},
	{"poll 2, late, ext 2", "poll 2, ext 2"},
	{"ext 2, poll 2", "poll 2"},
	{"ext 1, poll 2", "poll 2"},
	{"ext 0, poll 2", "poll 2"},
	{"ext 3, poll 2", "poll 2, ext 3"},
	{"ext 2, late, poll 2", "ext 2, poll 2"},
	{"ext 2, ext 3, poll 3", "poll 3"},
	{"poll 3, ext 2, ext 3", "poll 3"},

	// all three
	{"own 2, poll 3, ext 2, ext 3", "own 2, poll 3"},
	{"own 2, ext 2, poll 3, ext 3", "own 2, poll 3"},
	{"poll 3, own 2, ext 3, ext 4", "poll 3, own 2, ext 4"},
	{"ext 2, own 2, ext 3, poll 3", "own 2, poll 3"},
}

// TestEachChangeIsToldOnce holds for Vault's audit records and Vault's events alike.
func TestEachChangeIsToldOnce(t *testing.T) {
	for _, source := range []events.Source{events.FromAudit, events.FromVault} {
		for _, row := range onceRows {
			t.Run(string(source)+": "+row.steps, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := events.New(events.Config{Allow: yes})
					r := open(t, l, caller("x"), below("a"), "")
					learn := external(l, source)
					for step := range strings.SplitSeq(row.steps, ", ") {
						how, version, _ := strings.Cut(step, " ")
						v, _ := strconv.Atoi(version) // none for late
						switch how {
						case "ext":
							learn(v)
						case "late":
							time.Sleep(time.Minute)
						default:
							l.Publish(learned(how, v))
						}
					}
					if got := toldShort(t, r); !slices.Equal(sorted(got), sorted(row.want)) { // what is told at one instant has no order
						t.Errorf("told of %q, want %q", got, row.want)
					}
				})
			})
		}
	}
}

// external is how a source learns of a version of a/b.
func external(l *events.Log, source events.Source) func(version int) {
	if source == events.FromVault {
		feed := changes.NewVaultEvents(changes.NewDeduper(l), "secret")
		return func(v int) { feed.Changed("data-write", path("a/b"), v) }
	}
	w := changes.NewAuditRecords(changes.NewDeduper(l), "secret", "").NewStream()
	return func(v int) {
		data := "{}"
		if v > 0 {
			data = fmt.Sprintf(`{"version":%d}`, v)
		}
		_, _ = fmt.Fprintf(w, `{"type":"response","request":{"operation":"update","path":"secret/data/a/b"},"response":{"data":%s}}`+"\n", data)
	}
}

func learned(how string, version int) events.Event {
	e := change("a/b")
	e.Version = version
	if how == "poll" {
		e.Op, e.Source = "", events.FromPoll
	}
	return e
}

func sorted(list string) []string {
	return slices.Sorted(slices.Values(strings.Split(list, ", ")))
}

// toldShort reads the events of a reader, until nothing comes for a while.
func toldShort(t *testing.T, r *events.Reader) string {
	t.Helper()
	short := map[events.Source]string{events.FromGateway: "own", events.FromPoll: "poll", events.FromAudit: "ext", events.FromVault: "ext"}
	var out []string
	for {
		e, _, err := r.Next(t.Context(), 5*time.Second)
		if err != nil {
			return strings.Join(out, ", ")
		}
		out = append(out, fmt.Sprint(short[e.Source], " ", e.Version))
	}
}

// TestAPollTellsWhatNobodyHasTold: a poll reads a secret whose version is 1 at first. The
// steps happen while it reads (write changes the secret, own reports a change through
// the gateway) or after it: soon, before a change of the gateway's own counts as late,
// and late.
func TestAPollTellsWhatNobodyHasTold(t *testing.T) {
	for steps, want := range map[string]string{
		"write":                                  "poll 2",
		"write, write":                           "poll 3",
		"write, own 2":                           "own 2",
		"own 2, write":                           "own 2",
		"own 0, write":                           "own 0, poll 2",
		"write, soon, own 2":                     "own 2",
		"write, late, own 2":                     "poll 2, own 2",
		"write, own 2, write":                    "own 2, poll 3",
		"write, own 2, late, write":              "own 2, poll 3",
		"own 0, late":                            "own 0",
		"write, own 2, write, own 3, late, late": "own 2, own 3",
	} {
		t.Run(steps, func(t *testing.T) { pollOnce(t, steps, want) })
	}
}

func pollOnce(t *testing.T, steps, want string) {
	o := &outside{versions: map[string]int{"a/b": 1}, looks: map[string]int{}}
	reads := 0
	var l *events.Log
	read := func(ctx context.Context, c *call.Caller, topic events.Topic) (changes.Metadata, error) {
		if reads++; reads == 3 {
			rest := during(l, o, strings.Split(steps, ", "))
			go func() {
				for len(rest) > 0 {
					time.Sleep(map[string]time.Duration{"soon": 300 * time.Millisecond, "late": 20 * time.Second}[rest[0]])
					rest = during(l, o, rest[1:])
				}
			}()
		}
		return o.look(ctx, c, topic)
	}
	polled(t, o, read, func(t *testing.T, log *events.Log) {
		l = log
		r := open(t, l, caller("x"), exactly("a/b"), "")
		time.Sleep(2 * time.Minute)
		if got := toldShort(t, r); got != want {
			t.Errorf("told of %q, want %q", got, want)
		}
	})
}

// during takes the steps up to the first wait, and returns the rest.
func during(l *events.Log, o *outside, steps []string) []string {
	for i, step := range steps {
		how, version, _ := strings.Cut(step, " ")
		switch how {
		case "write":
			o.write("a/b")
		case "own":
			v, _ := strconv.Atoi(version)
			l.Publish(learned("own", v))
		default:
			return steps[i:]
		}
	}
	return nil
}
