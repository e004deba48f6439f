package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/files"
)

type auditCmd struct {
	Verify      auditVerifyCmd      `cmd:"" help:"Follow the chain through files and name the first bad line."`
	Checkpoint  auditCheckpointCmd  `cmd:"" help:"Print the newest signed checkpoint of a file."`
	Prove       auditProveCmd       `cmd:"" help:"Write the proof that a line, or a decision's lines, are in the evidence."`
	VerifyProof auditVerifyProofCmd `cmd:"" name:"verify-proof" help:"Check such a proof with the public key alone."`
	Key         auditKeyCmd         `cmd:"" help:"Print the public half of the key that signs checkpoints, and of those that did before."`
	Query       auditQueryCmd       `cmd:"" help:"Find records: who did what, when, and what came of it."`
	Exposure    auditExposureCmd    `cmd:"" help:"Say who received a secret or a credential, and what is left to rotate."`
	Tail        auditTailCmd        `cmd:"" help:"Write the newest records, and with -f those that come."`
	Reconcile   auditReconcileCmd   `cmd:"" help:"Compare evidence with Vault's own audit log."`
	Export      auditExportCmd      `cmd:"" help:"Write records as events for a SIEM: OCSF, ECS or CEF."`
}

// Help is the end of the command's help.
func (auditCmd) Help() string {
	return examples(
		"portcullis audit verify logs/audit-*.jsonl logs/audit.jsonl",
		"portcullis audit checkpoint logs/audit.jsonl > kept.checkpoint",
		"portcullis audit query logs/audit.jsonl --since 24h --path secret/mcp/bot/app",
		"portcullis audit reconcile logs/audit.jsonl --vault-audit /var/log/vault/audit.log",
	)
}

type auditVerifyCmd struct {
	Files []string `arg:"" name:"file" help:"Files of evidence, oldest first; .gz is read as well." type:"path"`
	Since string   `help:"A checkpoint that was kept elsewhere: what it signs must still be there." type:"path" placeholder:"FILE"`
	Key   string   `help:"Public keys: as audit key prints them, in PEM, or what vault read -format=json MOUNT/keys/NAME prints of a transit key; without it those beside the last file." type:"path" placeholder:"FILE"`

	AllowUnchained bool `help:"Let lines before line 1 pass, which a version without a chain has written. Nothing proves them."`
}

// Help is the end of the command's help.
func (auditVerifyCmd) Help() string {
	return "The exit code is 0 when the chain is good, 1 with \"first bad line: FILE:LINE\" when it is not, and 2 for wrong usage.\n\n" +
		examples("portcullis audit verify logs/audit-*.jsonl logs/audit.jsonl --since kept.checkpoint --key audit.pub",
			"vault read -format=json transit/keys/evidence > evidence.json && portcullis audit verify logs/audit.jsonl --key evidence.json")
}

// Run verifies.
func (c auditVerifyCmd) Run() error {
	return found(inspect.Verify{Files: c.Files, Since: c.Since, Key: c.Key, AllowUnchained: c.AllowUnchained, Out: screen(), Progress: progress()}.Run())
}

// found prints what an inspection has found, and maps the errors of usage.
func found(err error) error {
	if bad, ok := errors.AsType[*inspect.Bad](err); ok {
		fmt.Fprintln(screen(), bad)
		return foundError{bad}
	}
	if u, ok := errors.AsType[inspect.Usage](err); ok {
		return usageError{u}
	}
	return err
}

type auditCheckpointCmd struct {
	File string `arg:"" help:"File of evidence." type:"path"`
}

// Help is the end of the command's help.
func (auditCheckpointCmd) Help() string {
	return examples("portcullis audit checkpoint logs/audit.jsonl > kept.checkpoint")
}

// Run prints.
func (c auditCheckpointCmd) Run() error {
	text, err := files.Read(audit.Beside(c.File, "checkpoint"))
	if err != nil {
		return usageError{fmt.Errorf("no checkpoint lies beside %s: %w", c.File, err)}
	}
	_, err = os.Stdout.Write(text)
	return err
}

type auditProveCmd struct {
	Args []string `arg:"" name:"file-and-id" help:"Files of evidence, oldest first, and behind them a decision id or the number of a line."`
}

// Help is the end of the command's help.
func (auditProveCmd) Help() string {
	return examples("portcullis audit prove logs/audit.jsonl 42 > proof.json")
}

// Run proves.
func (c auditProveCmd) Run() error {
	if len(c.Args) < 2 {
		return usageError{errors.New("give files, and behind them a decision id or the number of a line")}
	}
	last := len(c.Args) - 1
	return found(inspect.Prove(screen(), c.Args[:last], c.Args[last]))
}

type auditVerifyProofCmd struct {
	File string `arg:"" help:"Proof." type:"path"`
	Key  string `help:"Public keys, as those of audit verify." type:"path" required:"" placeholder:"FILE"`
}

// Help is the end of the command's help.
func (auditVerifyProofCmd) Help() string {
	return examples("portcullis audit verify-proof proof.json --key audit.pub")
}

// Run checks.
func (c auditVerifyProofCmd) Run() error { return found(inspect.VerifyProof(screen(), c.File, c.Key)) }

type auditKeyCmd struct {
	File    string `arg:"" optional:"" help:"File of evidence beside which the key lies." env:"AUDIT_FILE" default:"logs/audit.jsonl" type:"path"`
	KeyFile string `help:"The key itself." env:"AUDIT_SIGN_KEY_FILE" type:"path" placeholder:"FILE"`
}

// Help is the end of the command's help.
func (auditKeyCmd) Help() string {
	return "A key of Vault's transit engine (AUDIT_SIGN_TRANSIT_KEY) is printed once it has signed, from what lies beside the file. Whoever does not trust that asks Vault: vault read -format=json MOUNT/keys/NAME.\n\n" +
		examples("portcullis audit key logs/audit.jsonl > audit.pub")
}

// Run prints.
func (c auditKeyCmd) Run() error {
	keys, err := inspect.Keys(c.File, c.KeyFile)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Println(strings.Join(keys, "\n"))
	return err
}
