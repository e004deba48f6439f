package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// The forms that REDIS_URL takes. Each has a rediss twin, which is the same over TLS:
//
//	redis://[USER:PASSWORD@]HOST[:6379][/DB]
//	redis+sentinel://[USER:PASSWORD@]HOST[:26379],…/MASTER[/DB]
//	redis+cluster://[USER:PASSWORD@]HOST[:6379],…
//
// A user name is one of Redis' ACL; a password alone is that of the user default.
var errForm = errors.New("must be redis://, rediss://, redis+sentinel:// or redis+cluster://, then [USER:PASSWORD@]HOST:PORT; several hosts are separated by commas, a sentinel's master and the number of a database follow a slash")

// parse reads an address. Its errors never repeat it, because it holds a password.
func parse(raw string) (*goredis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	secure, kind := false, ""
	switch scheme {
	case "rediss", "rediss+sentinel", "rediss+cluster":
		secure = true
		fallthrough
	case "redis", "redis+sentinel", "redis+cluster":
		_, kind, _ = strings.Cut(scheme, "+")
	default:
		ok = false
	}
	if !ok || strings.ContainsAny(rest, "?#") {
		return nil, errForm
	}
	o := &goredis.UniversalOptions{IsClusterMode: kind == "cluster"}
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := credentials(o, rest[:at], kind); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := addresses(o, hosts, kind); err != nil {
		return nil, err
	}
	return o, database(o, path, kind)
}

func credentials(o *goredis.UniversalOptions, text, kind string) error {
	user, password, two := strings.Cut(text, ":")
	var errs [2]error
	o.Username, errs[0] = url.PathUnescape(user)
	o.Password, errs[1] = url.PathUnescape(password)
	if errors.Join(errs[:]...) != nil || !two {
		return errors.New("the user and password before @ must be USER:PASSWORD, with % before the code of special characters")
	}
	if kind == "sentinel" {
		o.SentinelUsername, o.SentinelPassword = o.Username, o.Password
	}
	return nil
}

func addresses(o *goredis.UniversalOptions, hosts, kind string) error {
	port := "6379"
	if kind == "sentinel" {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		name, p, err := net.SplitHostPort(h)
		if err != nil {
			name, p = strings.Trim(h, "[]"), port
		}
		if _, err := strconv.ParseUint(p, 10, 16); err != nil || name == "" || strings.ContainsAny(name, " \t\r\n") {
			return errForm
		}
		o.Addrs = append(o.Addrs, net.JoinHostPort(name, p))
	}
	if kind == "" && len(o.Addrs) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func database(o *goredis.UniversalOptions, path, kind string) (err error) {
	if kind == "sentinel" {
		o.MasterName, path, _ = strings.Cut(path, "/")
		if o.MasterName == "" {
			return errors.New("redis+sentinel:// needs the name of the master behind a slash")
		}
	}
	if path == "" {
		return nil
	}
	if o.DB, err = strconv.Atoi(path); err != nil || o.DB < 0 || kind == "cluster" {
		return fmt.Errorf("what follows the last slash must be the number of a database, and a cluster has none")
	}
	return nil
}
