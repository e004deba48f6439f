package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// answerWait is how long a replica waits for the answer of another, and mostAnswers how many
// answers of one are under way; questions beyond that are not answered.
const (
	answerWait  = 500 * time.Millisecond
	mostAnswers = 16
)

// Questions are what replicas ask each other, by name. Questions and answers are short, and
// made unreadable by those that ask and answer.
type Questions struct {
	store *Store
	kind  string
	self  string // name of this replica

	mu      sync.Mutex // guards waiting
	waiting map[string]chan []byte
}

// NewQuestions makes those of a kind, for a replica of a name.
func (s *Store) NewQuestions(kind, self string) *Questions {
	return &Questions{store: s, kind: kind, self: self, waiting: map[string]chan []byte{}}
}

// message is a question or the answer to it.
type message struct {
	From   string `json:"from,omitempty"` // the replica that asks; empty for an answer
	Number string `json:"n"`
	Text   []byte `json:"text"` // empty for an answer that says nothing
}

func (q *Questions) channel(of string) *Channel { return q.store.NewChannel(q.kind + ":" + of) }

// Ask asks another replica. The answer is nil when it is not there or says nothing; the error
// is ErrAway.
func (q *Questions) Ask(ctx context.Context, whom string, question []byte) (answer []byte, err error) {
	number, arrived := rand.Text(), make(chan []byte, 1)
	q.mu.Lock()
	q.waiting[number] = arrived
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.waiting, number)
	}()
	if received, err := q.send(ctx, whom, message{q.self, number, question}); err != nil || !received {
		return nil, err
	}
	t := time.NewTimer(answerWait)
	defer t.Stop()
	select {
	case answer = <-arrived:
	case <-t.C:
	case <-ctx.Done():
	}
	return answer, nil
}

// send sends to a replica, and reports whether a subscriber may have received it. A node of
// a cluster knows its own subscribers alone.
func (q *Questions) send(ctx context.Context, to string, m message) (received bool, err error) {
	raw, _ := json.Marshal(m) // texts and bytes
	_, cluster := q.store.client.(*goredis.ClusterClient)
	err = q.store.do(ctx, func(ctx context.Context) error {
		n, err := q.store.client.Publish(ctx, q.channel(to).name, raw).Result()
		received = n > 0 || cluster
		return err
	})
	return received, err
}

// Run answers what others ask, until ctx ends. It calls ready, which may be nil, whenever it can
// be asked from now on.
func (q *Questions) Run(ctx context.Context, ready func(), answer func(question []byte) []byte) {
	var answering sync.WaitGroup
	defer answering.Wait()
	busy := make(chan struct{}, mostAnswers)
	q.channel(q.self).Run(ctx, ready, func(raw []byte) {
		var m message
		switch err := json.Unmarshal(raw, &m); {
		case err != nil: // nobody of ours
		case m.From != "":
			select {
			case busy <- struct{}{}:
				answering.Go(func() {
					defer func() { <-busy }()
					_, _ = q.send(ctx, m.From, message{Number: m.Number, Text: answer(m.Text)}) // the replica that asks waits a while
				})
			default:
			}
		default:
			q.deliver(m)
		}
	})
}

func (q *Questions) deliver(m message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.waiting[m.Number]; c != nil {
		delete(q.waiting, m.Number)
		c <- m.Text
	}
}
