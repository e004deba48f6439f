package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"portcullis/gateway/audit/export"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/audit/reconcile"
)

// progressEvery is how long a command is silent about what it is doing.
const progressEvery = 2 * time.Second

// progress tells on stderr how far a command is that takes long.
func progress() func(lines int, bytes int64) {
	told := time.Now()
	return func(lines int, bytes int64) {
		if time.Since(told) > progressEvery {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d lines, %d MB\n", lines, bytes>>20)
		}
	}
}

// auditFilter are the flags that choose records.
type auditFilter struct {
	Since    string `help:"Records from then on: how long ago (30m, 24h, 7d), a day (2026-11-24) or RFC 3339." placeholder:"TIME"`
	Until    string `help:"Records until then." placeholder:"TIME"`
	Who      string `help:"Caller: subject, or tenant/subject; a * at the end stands for any end." placeholder:"WHO"`
	Op       string `help:"Operation, such as kv.read or kv.*." placeholder:"OP"`
	Path     string `help:"Full path: secret/mcp/bot/app; with * at its end everything that begins so." placeholder:"PATH"`
	Request  string `help:"Request id, that of a batch with its parts." placeholder:"ID"`
	Decision string `help:"Decision id, or the correlation id of upkeep." placeholder:"ID"`
	Code     string `help:"What came of it: ok, forbidden, rate_limited, ..." placeholder:"CODE"`
	Session  string `help:"Session, as records have it (hashed)." placeholder:"HASH"`
	Type     string `help:"Type of record: intent, outcome, refusal, refusals, upkeep, ..." placeholder:"TYPE"`
}

func (f auditFilter) filter(now time.Time) (inspect.Filter, error) {
	since, err := inspect.Moment(f.Since, now)
	until, err2 := inspect.Moment(f.Until, now)
	want := inspect.Filter{
		Since: since, Until: until, Who: f.Who, Op: f.Op, Path: f.Path, Request: f.Request, Decision: f.Decision, Code: f.Code,
		Session: f.Session, Type: f.Type,
	}
	err = cmp.Or(err, err2, want.Check())
	return want, err
}

func skipped(file string, line, n int) {
	what := "is no record and is passed over"
	if n > 1 {
		what = fmt.Sprintf("and further lines, %d in all, are no records and are passed over", n)
	}
	fmt.Fprintf(complaints(), "%s:%d %s; portcullis audit verify says whether that may be\n", file, line, what)
}

type auditQueryCmd struct {
	Files []string `arg:"" name:"file" help:"Files of evidence, oldest first; .gz is read as well." type:"path"`
	auditFilter
	JSON bool `help:"Write the lines as they are, one JSON object each."`
}

// Help is the end of the command's help.
func (auditQueryCmd) Help() string {
	return "A row is one record. Files that lie outside of the time that is asked for are passed over.\n\n" + examples(
		"portcullis audit query logs/audit-*.jsonl* logs/audit.jsonl --since 24h --path secret/mcp/bot/app --op kv.read --code ok",
		"portcullis audit query logs/audit.jsonl --who acme/bot --since 2026-11-24 --until 2026-11-25 --json",
		"portcullis audit query logs/audit.jsonl --decision 01m8fp93b3p4mjqexran3t119v",
	)
}

// Run asks.
func (c auditQueryCmd) Run() error {
	want, err := c.filter(time.Now())
	if err == nil {
		err = inspect.Exist(c.Files)
	}
	if err != nil {
		return found(err)
	}
	n, err := inspect.Query(os.Stdout, inspect.Files{Names: c.Files, Progress: progress(), Skipped: skipped}, want, c.JSON)
	if err == nil && n == 0 {
		fmt.Fprintln(os.Stderr, "no record matches")
	}
	return found(err)
}

type auditExposureCmd struct {
	Args []string `arg:"" name:"file-and-path" help:"Files of evidence, oldest first, and behind them a full path, with @VERSION for one version."`
	JSON bool     `help:"Write JSON: plain, masked, wrapped, written, unknown, leases, rotate."`
}

// Help is the end of the command's help.
func (auditExposureCmd) Help() string {
	return examples(
		"portcullis audit exposure logs/audit-*.jsonl* logs/audit.jsonl secret/mcp/bot/app@3",
		"portcullis audit exposure logs/audit.jsonl database/readonly --json",
	)
}

// Run finds who received what.
func (c auditExposureCmd) Run() error {
	if len(c.Args) < 2 {
		return usageError{errors.New("give files, and behind them a full path such as secret/mcp/bot/app@3")}
	}
	last := len(c.Args) - 1
	if err := inspect.Exist(c.Args[:last]); err != nil {
		return found(err)
	}
	x, err := inspect.Exposure(inspect.Files{Names: c.Args[:last], Progress: progress(), Skipped: skipped}, c.Args[last], time.Now())
	if err != nil {
		return found(err)
	}
	return x.Write(os.Stdout, c.JSON)
}

type auditTailCmd struct {
	File   string `arg:"" help:"Current file of evidence." type:"path"`
	Follow bool   `short:"f" help:"Go on with what comes, over rotations, until Ctrl-C."`
	Lines  int    `short:"n" help:"How many of the records that are there already." default:"10"`
	auditFilter
	JSON bool `help:"Write the lines as they are, one JSON object each."`
}

// Help is the end of the command's help.
func (auditTailCmd) Help() string {
	return examples("portcullis audit tail -f logs/audit.jsonl", "portcullis audit tail -f logs/audit.jsonl --type refusal --json")
}

// Run writes the end of the file.
func (c auditTailCmd) Run() error {
	want, err := c.filter(time.Now())
	if err == nil {
		err = inspect.Exist([]string{c.File})
	}
	if err != nil {
		return found(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process wherever it is, as in a pipe that nobody writes to
	return found(inspect.Tail{File: c.File, Last: c.Lines, Follow: c.Follow, Want: want, JSON: c.JSON, Every: 200 * time.Millisecond}.Run(ctx, os.Stdout))
}

type auditExportCmd struct {
	Files []string `arg:"" name:"file" help:"Files of evidence, oldest first; .gz is read as well." type:"path"`
	auditFilter
	Format string `help:"ocsf (OCSF 1.9, API Activity), ecs (Elastic Common Schema 8) or cef (ArcSight Common Event Format)." enum:"ocsf,ecs,cef" required:""`
}

// Help is the end of the command's help.
func (auditExportCmd) Help() string {
	return "An event a line. Every record becomes one.\n\n" + examples(
		"portcullis audit export logs/audit.jsonl --format ocsf --since 24h > events.jsonl",
		"portcullis audit export logs/audit-*.jsonl* logs/audit.jsonl --format cef --code forbidden",
	)
}

// Run exports.
func (c auditExportCmd) Run() error {
	want, err := c.filter(time.Now())
	if err == nil {
		err = inspect.Exist(c.Files)
	}
	if err != nil {
		return found(err)
	}
	f := inspect.Files{Names: c.Files, Progress: progress(), Skipped: skipped}
	return found(export.Export{Files: f, Want: want, Format: export.Format(c.Format), Version: version}.Write(os.Stdout))
}

type auditReconcileCmd struct {
	Files      []string `arg:"" name:"file" help:"Files of evidence, oldest first; .gz is read as well." type:"path"`
	VaultAudit []string `help:"Vault's audit log; give it again for further files, oldest first." name:"vault-audit" required:"" type:"path" placeholder:"FILE"`
	All        bool     `help:"Compare the requests of everybody, not of the gateway and its tokens alone."`
	Since      string   `help:"Compare what is from then on: how long ago, a day or RFC 3339." placeholder:"TIME"`
	Until      string   `help:"Compare what is until then." placeholder:"TIME"`
	JSON       bool     `help:"Write JSON: unknown_to_us, unknown_to_vault, outcome_differs, unreadable."`
}

// Help is the end of the command's help.
func (auditReconcileCmd) Help() string {
	return "The two are joined on the X-Correlation-Id, which Vault's audit devices record unasked. A request at Vault counts as the gateway's when its token, accessor or entity is that of the gateway or of a token that descends from one of its own.\n\n" +
		"The exit code is 0 when both agree, 1 when anything differs, and 2 for wrong usage.\n\n" + examples(
		"portcullis audit reconcile logs/audit.jsonl --vault-audit /var/log/vault/audit.log",
		"portcullis audit reconcile logs/audit-*.jsonl* logs/audit.jsonl --vault-audit audit.log.1.gz --vault-audit audit.log --json",
	)
}

// Run compares.
func (c auditReconcileCmd) Run() error {
	now := time.Now()
	since, err := inspect.Moment(c.Since, now)
	until, err2 := inspect.Moment(c.Until, now)
	if err := errors.Join(err, err2, inspect.Exist(c.Files), inspect.Exist(c.VaultAudit)); err != nil {
		return usageError{err}
	}
	r, err := reconcile.Run(reconcile.Config{
		Files: c.Files, VaultAudit: c.VaultAudit, Everybody: c.All, Since: since, Until: until, Progress: progress(), Skipped: skipped,
	})
	if err != nil {
		return found(err)
	}
	if err := r.Write(os.Stdout, c.JSON); err != nil {
		return err
	}
	if r.Differ() {
		return foundError{errors.New("the gateway's evidence and Vault's audit log differ")}
	}
	return nil
}
