package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SSHD is a running OpenSSH server. It lets in whoever holds a certificate that the CA
// has signed, or a one-time password that Vault knows.
type SSHD struct {
	*Process
	Port       string
	KnownHosts string // file with the server's host key
	pam        string
}

// SSHDOptions say whom the server trusts.
type SSHDOptions struct {
	Dir   string // takes the configuration and the host key
	CA    string // public key of Vault's SSH CA, empty for none
	Vault *Vault // where one-time passwords are verified (ssh/verify), nil for nowhere
}

// StartSSHD starts /usr/sbin/sshd on a free port. One-time passwords go through
// PAM, which needs root and a file below /etc/pam.d that Close removes.
func StartSSHD(ctx context.Context, o SSHDOptions) (*SSHD, error) {
	s := &SSHD{KnownHosts: filepath.Join(o.Dir, "known_hosts")}
	if err := s.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *SSHD) prepare(ctx context.Context, o SSHDOptions) (err error) {
	if s.Port, err = freePort(ctx); err != nil {
		return err
	}
	// sshd takes the name of its PAM service from the name that it is started with.
	name := "portcullis-sshd-" + s.Port
	program := filepath.Join(o.Dir, name)
	if err := os.Symlink("/usr/sbin/sshd", program); err != nil {
		return err
	}
	config, err := s.config(ctx, o, name)
	if err != nil {
		return err
	}
	file := filepath.Join(o.Dir, "sshd_config")
	// sshd wants the directory that it separates privileges in.
	if err := errors.Join(os.MkdirAll("/run/sshd", 0o755), os.WriteFile(file, []byte(config), 0o600)); err != nil {
		return err
	}
	s.Process, err = Start(ctx, Command{Path: program, Args: []string{"-D", "-e", "-f", file}, Dir: o.Dir}, nil)
	if err != nil {
		return err
	}
	return s.Says(ctx, "Server listening")
}

func (s *SSHD) config(ctx context.Context, o SSHDOptions, name string) (string, error) {
	key, err := s.hostKey(ctx, o.Dir)
	if err != nil {
		return "", err
	}
	lines := []string{
		"ListenAddress 127.0.0.1:" + s.Port, "HostKey " + key, "PidFile none", "LogLevel VERBOSE", "StrictModes no",
		"AuthorizedKeysFile none", "PasswordAuthentication no", "PermitRootLogin yes",
	}
	if o.CA != "" {
		ca := filepath.Join(o.Dir, "ca.pub")
		if err := os.WriteFile(ca, []byte(o.CA), 0o600); err != nil {
			return "", err
		}
		lines = append(lines, "TrustedUserCAKeys "+ca)
	}
	if o.Vault != nil {
		if err := s.allowOTP(o, name); err != nil {
			return "", err
		}
		lines = append(lines, "UsePAM yes", "KbdInteractiveAuthentication yes")
	}
	return strings.Join(lines, "\n") + "\n", nil
}

func (s *SSHD) hostKey(ctx context.Context, dir string) (string, error) {
	key := filepath.Join(dir, "host_key")
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		return "", err
	}
	return key, os.WriteFile(s.KnownHosts, fmt.Appendf(nil, "[127.0.0.1]:%s %s", s.Port, pub), 0o600)
}

// verify asks Vault whether a one-time password is good, and for whom (Vault API,
// secret/ssh). pam_exec gives the password on stdin, with a zero byte behind it.
const verify = `#!/bin/sh
otp=$(tr -dc '0-9a-f-')
reply=$(curl -sf -d "{\"otp\":\"$otp\"}" '%s/v1/ssh/verify') || exit 1
case "$reply" in *"\"username\":\"$PAM_USER\""*) exit 0 ;; esac
exit 1
`

func (s *SSHD) allowOTP(o SSHDOptions, name string) error {
	script := filepath.Join(o.Dir, "verify-otp")
	if err := os.WriteFile(script, fmt.Appendf(nil, verify, o.Vault.Addr), 0o700); err != nil {
		return err
	}
	s.pam = filepath.Join("/etc/pam.d", name)
	return os.WriteFile(s.pam, []byte("auth required pam_exec.so quiet expose_authtok "+script+
		"\nauth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n"), 0o600)
}

// Close stops the server and removes what lies outside its directory.
func (s *SSHD) Close() error {
	var errs []error
	if s.Process != nil {
		errs = append(errs, s.Stop())
	}
	if s.pam != "" {
		errs = append(errs, os.Remove(s.pam))
	}
	return errors.Join(errs...)
}

// ClientArgs are the arguments of ssh that find and trust this server, and nothing
// of the person who runs it.
func (s *SSHD) ClientArgs() []string {
	return []string{
		"-F", "none", "-p", s.Port, "-o", "UserKnownHostsFile=" + s.KnownHosts, "-o", "IdentitiesOnly=yes",
		"-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR",
	}
}

// PasswordLogin logs in with a password that ssh asks for, and runs a command.
func (s *SSHD) PasswordLogin(ctx context.Context, user, password, command string) (string, error) {
	ask := filepath.Join(filepath.Dir(s.KnownHosts), "askpass")
	if err := os.WriteFile(ask, []byte("#!/bin/sh\nprintf '%s\\n' \"$PASSWORD\"\n"), 0o700); err != nil {
		return "", err
	}
	args := append(s.ClientArgs(), "-o", "PreferredAuthentications=keyboard-interactive",
		"-o", "NumberOfPasswordPrompts=1", user+"@127.0.0.1", command)
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "PASSWORD="+password)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
