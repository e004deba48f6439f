package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"portcullis/gateway/audit/export"
	"portcullis/gateway/obs"
	"portcullis/gateway/sink"
)

// sinksTimeout is how long the end waits for sinks that take lines; what they have not
// taken by then waits in the spool for the next start.
const sinksTimeout = 5 * time.Second

func (g *Server) sinkConfig() sink.Config {
	c := g.cfg
	conf := sink.Config{
		URLs: c.AuditSinks, Spool: c.AuditSpoolDir, SpoolBytes: c.AuditSpoolBytes, CA: c.AuditSinkCA, Cert: c.AuditSinkCert, Key: c.AuditSinkKey,
		TokenFile: c.AuditSinkToken, HMACFile: c.AuditSinkHMAC, Log: g.logs.Server,
		Format: func(dst []byte, format string, line []byte) ([]byte, error) {
			return export.Append(dst, export.Format(format), line, g.options.Version)
		},
	}
	for _, f := range export.Formats() {
		conf.Formats = append(conf.Formats, string(f))
	}
	if c.AuditSpoolBytes == 0 {
		conf.Spool = ""
	}
	if !g.options.Stdio { // else it carries the messages of the client
		conf.Stdout = g.options.Stdout
	}
	return conf
}

func (g *Server) closeSinks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sinksTimeout)
	defer cancel()
	anchored := make(chan error, 1)
	go func() { anchored <- g.anchors.close(ctx) }()
	if err := g.sinks.Close(ctx); err != nil {
		g.logs.Server.Error("an audit sink did not get every line; the audit file has them", "cause", err)
	}
	if err := <-anchored; err != nil {
		g.logs.Server.Error("an anchor did not get the newest checkpoint", "cause", err)
	}
}

// sinksPart reports the sinks by their place in AUDIT_SINKS: whoever may probe need not
// know where evidence goes. A sink that is down makes nothing unready, because the file
// has every line.
func (g *Server) sinksPart() obs.Part {
	return obs.Part{OK: true, Detail: strings.Join(statusOf(g.sinks), "; ")}
}

func statusOf(sinks *sink.Sinks) (parts []string) {
	for i, s := range sinks.Status() {
		text := fmt.Sprintf("%d (%s): ready", i+1, s.Kind)
		if !s.Up {
			text = fmt.Sprintf("%d (%s): degraded: down since %s, %d lines wait", i+1, s.Kind, s.Since.UTC().Format(time.RFC3339), s.Waiting)
		}
		if s.Lost > 0 {
			text += fmt.Sprintf(", %d lines were lost to it", s.Lost)
		}
		parts = append(parts, text)
	}
	return parts
}
