package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

type serveCmd struct {
	File string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
}

// Help is the end of the command's help.
func (serveCmd) Help() string {
	return "Every key can be set in the file or as an environment variable, which wins. Without --config, portcullis.toml " +
		"(.yaml, .yml, .json) is looked for in the working directory, the user's configuration directory and /etc/portcullis.\n\n" + examples(
		"VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=... API_KEYS_FILE=keys.yaml portcullis serve",
		"portcullis serve --config portcullis.toml",
	)
}

// Run serves until it is told to stop.
func (s serveCmd) Run() error {
	server.TuneGC() // the start makes more garbage than it keeps
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	from := config.Source{File: s.File, WorkingDir: true}
	c, err := load(ctx, from)
	if err != nil {
		return err
	}
	if c.AdminAddr == "" {
		runtime.MemProfileRate = 0 // nobody can ask for a profile of memory
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from now on a hangup does not end the process
	g, err := server.New(ctx, c, server.Options{Stdout: os.Stdout, Stderr: os.Stderr, Hangups: hangups, Reread: func() (config.Config, error) { return config.Load(from) }, Version: version})
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	return g.Serve(ctx)
}
