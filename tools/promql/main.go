// Command promql evaluates expressions in Prometheus' own engine, over pages of metrics
// that somebody has scraped. It reads a Question on standard input and writes an Answer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Question is what is scraped, oldest first, and what is evaluated at the time of the last
// scrape.
type Question struct {
	Labels      map[string]string `json:"labels"` // of the scrape, as job and instance
	Scrapes     []Scrape          `json:"scrapes"`
	Expressions []string          `json:"expressions"`
}

// Scrape is a page in the text format of Prometheus.
type Scrape struct {
	At   int64  `json:"at"` // Unix time in milliseconds
	Page string `json:"page"`
}

// Answer is how many series an expression has, or what is wrong with it, by expression.
type Answer map[string]Result

// Result is what came of one expression.
type Result struct {
	Series int      `json:"series"`
	Error  string   `json:"error,omitempty"`
	Warned []string `json:"warned,omitempty"` // what the engine has to say about it
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "promql:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var q Question
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	if len(q.Scrapes) == 0 {
		return errors.New("nothing was scraped")
	}
	kept := series{}
	for _, s := range q.Scrapes {
		if err := kept.take(s, q.Labels); err != nil {
			return err
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	at := time.UnixMilli(q.Scrapes[len(q.Scrapes)-1].At)
	answer := Answer{}
	for _, e := range q.Expressions {
		answer[e] = evaluate(engine, kept, e, at)
	}
	return json.NewEncoder(out).Encode(answer)
}

func evaluate(engine *promql.Engine, kept series, expr string, at time.Time) Result {
	ctx := context.Background()
	q, err := engine.NewInstantQuery(ctx, kept, nil, expr, at)
	if err != nil {
		return Result{Error: err.Error()}
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return Result{Error: r.Err.Error()}
	}
	n := 1
	if v, err := r.Vector(); err == nil {
		n = len(v)
	}
	return Result{Series: n, Warned: warnings(r)}
}

func warnings(r *promql.Result) (all []string) {
	warned, infos := r.Warnings.AsStrings("", 0, 0)
	return append(warned, infos...)
}

// take keeps the samples of a page.
func (s series) take(scrape Scrape, more map[string]string) error {
	p, err := textparse.New([]byte(scrape.Page), "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		_, _, value := p.Series()
		b := labels.NewBuilder(l)
		for k, v := range more {
			b.Set(k, v)
		}
		s.add(b.Labels(), scrape.At, value)
	}
}
