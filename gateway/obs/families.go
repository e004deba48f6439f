package obs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// family is what the page says of the metrics of one name.
type family struct{ kind, help string }

// families are the metrics of the gateway. A test compares the table with the
// sources: a metric that is not in it has no help and no type that can be trusted,
// because the library counts what goes up and down with counters too.
func families() map[string]family {
	all := ofCalls()
	maps.Copy(all, ofTransforms())
	return all
}

func ofTransforms() map[string]family {
	return map[string]family{
		"portcullis_transform_reloads_total":     {"counter", "Loads of the WASM manifest by result."},
		"portcullis_transform_calls_total":       {"counter", "Calls of transforms by module, hook and result."},
		"portcullis_transform_counted_total":     {"counter", "What modules have counted, by module and counter of the manifest."},
		"portcullis_transform_lines_total":       {"counter", "Lines that modules wanted to be logged, and counts under names that are none of theirs, by module and result."},
		"portcullis_transform_fuel_total":        {"counter", "Fuel that transforms have used, by module."},
		"portcullis_transform_quarantines_total": {"counter", "Quarantines of transforms, for one caller or for all, by module."},
	}
}

func ofCalls() map[string]family {
	return map[string]family{
		"http_requests_total":                                {"counter", "HTTP requests by method, route pattern and status."},
		"http_request_duration_seconds":                      {"histogram", "Time to the end of the answer, by method, route pattern and status."},
		"http_requests_in_progress":                          {"gauge", "HTTP requests that are being answered, streams included."},
		"http_requests_with_correlation_total":               {"counter", "HTTP requests that came with an X-Correlation-Id."},
		"portcullis_build_info":                              {"gauge", "1, with the version of the gateway and of Go as labels."},
		"portcullis_calls_total":                             {"counter", "Calls of operations by operation, transport and code."},
		"portcullis_call_duration_seconds":                   {"histogram", "Time of a call from its arguments to its encoded result, by operation."},
		"portcullis_call_stage_duration_seconds":             {"histogram", "Time of a part of a call, by stage: bind, decide, limit, audit, vault, transform and outcome."},
		"portcullis_auth_accepted_total":                     {"counter", "Credentials that were accepted, by method."},
		"portcullis_auth_refused_total":                      {"counter", "Credentials that were refused, by the rule that they broke."},
		"portcullis_auth_limited_total":                      {"counter", "Requests that were refused because their address had presented too many bad credentials."},
		"portcullis_auth_reloads_total":                      {"counter", "Files of keys, certificates and the deny list that were read again."},
		"portcullis_auth_reload_failures_total":              {"counter", "Files of keys, certificates and the deny list that could not be read again."},
		"portcullis_auth_api_key_last_used_seconds":          {"gauge", "When an API key was last used, as Unix time."},
		"portcullis_policy_decisions_total":                  {"counter", "Decisions, by whether they were evaluated or cached."},
		"portcullis_policy_evaluation_seconds":               {"histogram", "Time of an evaluation of the policy."},
		"portcullis_policy_failures_total":                   {"counter", "Evaluations that gave no usable decision; each denied its call."},
		"portcullis_policy_reloads_total":                    {"counter", "Loads of the policy by result."},
		"portcullis_policy_log_dropped_total":                {"counter", "Lines of the decision log that could not be written."},
		"portcullis_policy_shadow_reloads_total":             {"counter", "Loads of the shadow policy by result."},
		"portcullis_policy_shadow_total":                     {"counter", "Shadow decisions by how they differ from the enforced one."},
		"portcullis_policy_shadow_dropped_total":             {"counter", "Calls that the shadow policy was too slow for."},
		"portcullis_policy_dry_run_total":                    {"counter", "Denials of rules in dry run, which were not enforced, by rule."},
		"portcullis_trace_spans_sent_total":                  {"counter", "Spans that the collector of traces has taken."},
		"portcullis_trace_spans_lost_total":                  {"counter", "Spans that the collector of traces will not get, because it was away or slow for long."},
		"portcullis_audit_failures_total":                    {"counter", "Records of evidence that could not be written; each refused its call or lost an outcome."},
		"portcullis_audit_archive_failures_total":            {"counter", "Full files of evidence that could not be compressed, removed or kept."},
		"portcullis_audit_checkpoint_failures_total":         {"counter", "Checkpoints of the evidence that could not be signed; lines are written all the same."},
		"portcullis_audit_checkpoint_timestamp_seconds":      {"gauge", "When the newest checkpoint of the evidence was signed, as Unix time; 0 for none since the start."},
		"portcullis_audit_anchored_timestamp_seconds":        {"gauge", "When the checkpoint that was anchored last was signed, as Unix time; 0 for none since the start."},
		"portcullis_audit_sink_lines_total":                  {"counter", "Lines of evidence that an audit sink has taken."},
		"portcullis_audit_sink_lost_total":                   {"counter", "Lines of evidence that an audit sink will not get, because memory and spool were full; the audit file has them."},
		"portcullis_audit_sink_failures_total":               {"counter", "Attempts to deliver to an audit sink that failed."},
		"portcullis_audit_sink_up":                           {"gauge", "1 while an audit sink takes lines."},
		"portcullis_audit_sink_waiting_lines":                {"gauge", "Lines of evidence that wait for an audit sink."},
		"portcullis_audit_sink_memory_bytes":                 {"gauge", "Bytes in memory that wait for an audit sink."},
		"portcullis_audit_sink_spool_bytes":                  {"gauge", "Bytes on disk that wait for an audit sink."},
		"portcullis_audit_tap_records_total":                 {"counter", "Records of Vault's audit devices that were read for change events."},
		"portcullis_certificate_not_after_timestamp_seconds": {"gauge", "When the certificate of a setting ends, as Unix time; of several in its file, the first."},
		"portcullis_decisions_total":                         {"counter", "Decisions by outcome: allowed, denied or failed."},
		"portcullis_rate_limited_total":                      {"counter", "Calls that were refused because the bucket of their tier was empty, by tier."},
		"portcullis_store_up":                                {"gauge", "1 while the shared store (REDIS_URL) answers."},
		"portcullis_store_failures_total":                    {"counter", "Operations of the shared store that failed."},
		"portcullis_limit_without_store_total":               {"counter", "Calls whose shared bucket could not be reached, by what was done: local for a bucket of this gateway, denied for a refusal."},
		"portcullis_read_cache_total":                        {"counter", "Reads that the cache was asked for, by result: hit or miss."},
		"portcullis_callers":                                 {"gauge", "Callers that this gateway has seen and looks after in Vault."},
		"portcullis_leases_total":                            {"counter", "Leases by event: issued, renewed, revoked, or failed for a renewal or revocation that Vault refused."},
		"portcullis_config_reloads_total":                    {"counter", "Configurations that were read again, by result."},
		"portcullis_audit_lines_total":                       {"counter", "Lines of evidence that were written."},
		"portcullis_vault_calls_total":                       {"counter", "Requests to Vault by what came of them."},
		"portcullis_vault_call_duration_seconds":             {"histogram", "Time of a request to Vault, by method."},
		"portcullis_vault_tokens_total":                      {"counter", "Tokens that Vault was asked for, by kind (login is the gateway's own, batch and service are callers') and result."},
		"portcullis_vault_breaker_opened_total":              {"counter", "Times that Vault was found to be away and calls were held from it."},
		"portcullis_vault_requests":                          {"gauge", "Requests to Vault that are under way."},
		"portcullis_vault_waiting":                           {"gauge", "Calls that wait for a place among the requests to Vault."},
		"portcullis_vault_away":                              {"gauge", "1 while the circuit breaker holds calls away from Vault."},
		"portcullis_vault_notifications_total":               {"counter", "Notifications of Vault's event stream."},
		"portcullis_vault_notifications_malformed_total":     {"counter", "Notifications of Vault's event stream that could not be read."},
		"portcullis_turns_taken":                             {"gauge", "Large requests and answers that are worked on."},
		"portcullis_turns_waiting":                           {"gauge", "Large requests and answers that wait for their caller's turn."},
		"portcullis_event_streams":                           {"gauge", "Event streams that are open."},
		"portcullis_event_streams_cut_off_total":             {"counter", "Event streams that were ended because their reader did not read."},
		"portcullis_events_total":                            {"counter", "Change events by kind."},
		"portcullis_mcp_sessions":                            {"gauge", "MCP sessions of the protocol versions that have sessions."},
		"portcullis_mcp_panics_total":                        {"counter", "Panics in MCP methods; each failed its own message."},
		"portcullis_connections":                             {"gauge", "Connections of the callers' listener that are open."},
		"portcullis_connections_limit":                       {"gauge", "Connections that the callers' listener may have."},
		"portcullis_connections_refused_total":               {"counter", "Connections that were closed because there was no room for them."},
		"portcullis_connections_slowed_total":                {"counter", "Connections that were made to wait: HTTP/2 because of what it sent beside requests, TLS because its address began too many."},
		"portcullis_connections_evicted_total":               {"counter", "Connections that were closed because they were silent and others needed the room."},
		"portcullis_budget_refused_total":                    {"counter", "Refusals because a budget was used up, by budget and scope."},
		"portcullis_budget_used":                             {"gauge", "What is held of a budget, in the budget's unit."},
		"portcullis_budget_limit":                            {"gauge", "What may be held of a budget by all together."},
		"portcullis_policy_canary_decisions_total":           {"counter", "Decisions of a candidate for the callers of the canary, by answer."},
		"portcullis_policy_canary_ratio":                     {"gauge", "Share of callers for whom a candidate decides, 0 to 1."},
		"portcullis_policy_canary_returns_total":             {"counter", "Candidates that decide no more, because they refused or failed calls that the active policy allows."},
	}
}

// Documented reports whether the page explains a metric of ours.
func Documented(name string) bool {
	_, ok := families()[name]
	return ok
}

// Kind is the type of a metric of ours, empty for one that is none.
func Kind(name string) string { return families()[name].kind }

// Table is the page that explains every metric, in Markdown.
func Table() []byte {
	all := families()
	var b bytes.Buffer
	b.WriteString("# Metrics\n\nGenerated from gateway/obs. Prometheus gets them at `/metrics`, of `ADMIN_ADDR` when that is set.\n" +
		"tools/deploy has a dashboard and alert rules.\n\n| metric | type | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, all[name].kind, all[name].help)
	}
	b.WriteString("\nMetrics of the process (`process_`) and of the Go runtime (`go_`) are there as well.\n")
	return b.Bytes()
}

// familyOf is what the page says of a name, for the metrics of the runtime and the
// process by their form (https://prometheus.io/docs/practices/naming/).
func familyOf(name string) family {
	if f, ok := families()[name]; ok {
		return f
	}
	kind := "gauge"
	switch {
	case strings.HasSuffix(name, "_total"):
		kind = "counter"
	case name == "go_gc_duration_seconds":
		kind = "summary"
	case name == "go_gc_pauses_seconds", name == "go_sched_latencies_seconds":
		kind = "histogram"
	}
	if strings.HasPrefix(name, "process_") {
		return family{kind, "Of the process, as the kernel tells it."}
	}
	return family{kind, "Of the Go runtime, see the package runtime/metrics."}
}

// namesCallers reports whether the samples of a family have a label that says who
// calls, which is nothing for a page that anybody may read.
func namesCallers(name string) bool { return name == "portcullis_auth_api_key_last_used_seconds" }
