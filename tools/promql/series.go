package main

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// series are the samples of each series, by the text of its labels. They implement
// storage.Queryable.
type series map[string]*one

type one struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func (s series) add(l labels.Labels, at int64, value float64) {
	key := l.String()
	if s[key] == nil {
		s[key] = &one{labels: l}
	}
	s[key].samples = append(s[key].samples, float{at, value})
}

// Querier implements storage.Queryable.
func (s series) Querier(from, to int64) (storage.Querier, error) {
	return &querier{all: s, from: from, to: to}, nil
}

// querier selects in a span of time. What engines do not ask for, it does not have.
type querier struct {
	storage.MockQuerier
	all      series
	from, to int64
}

// Select implements storage.Querier.
func (q *querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, want ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range q.all {
		if slices.ContainsFunc(want, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			continue
		}
		within := slices.DeleteFunc(slices.Clone(s.samples), func(x chunks.Sample) bool { return x.T() < q.from || x.T() > q.to })
		if len(within) > 0 {
			found = append(found, storage.NewListSeries(s.labels, within))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{left: found}
}

type set struct {
	left []storage.Series
	at   storage.Series
}

// Next implements storage.SeriesSet.
func (s *set) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

// At implements storage.SeriesSet.
func (s *set) At() storage.Series { return s.at }

// Err implements storage.SeriesSet.
func (s *set) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (s *set) Warnings() annotations.Annotations { return nil }

// float is a sample that is a number.
type float struct {
	t int64
	f float64
}

// T implements chunks.Sample.
func (f float) T() int64 { return f.t }

// ST implements chunks.Sample.
func (f float) ST() int64 { return 0 }

// F implements chunks.Sample.
func (f float) F() float64 { return f.f }

// H implements chunks.Sample.
func (f float) H() *histogram.Histogram { return nil }

// FH implements chunks.Sample.
func (f float) FH() *histogram.FloatHistogram { return nil }

// Type implements chunks.Sample.
func (f float) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// Copy implements chunks.Sample.
func (f float) Copy() chunks.Sample { return f }
