package audit

import "github.com/VictoriaMetrics/metrics"

var (
	// failures counts records that could not be written.
	failures = metrics.NewCounter("portcullis_audit_failures_total")
	// linesWritten counts lines that are in the file.
	linesWritten = metrics.NewCounter("portcullis_audit_lines_total")
	// unsigned counts checkpoints that could not be signed.
	unsigned = metrics.NewCounter("portcullis_audit_checkpoint_failures_total")
	// archiveFailures counts full files that could not be compressed, removed or kept.
	archiveFailures = metrics.NewCounter("portcullis_audit_archive_failures_total")
)
