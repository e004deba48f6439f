package files

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// MaxBytes bounds a file that is read.
const MaxBytes = 64 << 20

// pipeTimeout bounds how long a pipe that stands in the place of a file may take.
const pipeTimeout = 5 * time.Second

// Read reads a whole file that the configuration names. Whoever waits for a pipe looks at no
// other file meanwhile; one that nobody writes to is refused, because it is no empty file.
func Read(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	_ = file.SetReadDeadline(time.Now().Add(pipeTimeout)) // files have none
	data, err := all(file, path)
	if err == nil && len(data) == 0 {
		if st, err := file.Stat(); err == nil && st.Mode()&fs.ModeNamedPipe != 0 {
			return nil, fmt.Errorf("%s: a pipe that nobody writes to", path)
		}
	}
	return data, err
}

// Input reads a whole file that somebody names to a command, who waits for it; "-" is
// standard input. It may be a pipe that takes its time, as of <(COMMAND).
func Input(path string) ([]byte, error) {
	if path == "-" {
		return all(os.Stdin, "standard input")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return all(file, path)
}

// KeyPair reads a certificate with its chain, and its key, both in PEM.
func KeyPair(cert, key string) (pair tls.Certificate, err error) {
	chain, err := Read(cert)
	if err != nil {
		return pair, err
	}
	private, err := Read(key)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(chain, private)
}

// CertPool reads the certificates of authorities, in PEM. One without any is an error, beside
// a pool that trusts nobody.
func CertPool(path string) (*x509.CertPool, error) {
	pem, err := Read(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return pool, fmt.Errorf("%s: no certificate in PEM", path)
	}
	return pool, nil
}

func all(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err == nil && len(data) > MaxBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, MaxBytes)
	}
	return data, err
}
