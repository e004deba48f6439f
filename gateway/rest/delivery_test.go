package rest_test

import (
	"net/http"
	"testing"
	"time"

	"portcullis/gateway/call"
)

func TestDelivery(t *testing.T) {
	cases := map[string]struct {
		deliver, wrap string
		status        int
		want          call.Deliver
		ttl           time.Duration
	}{
		"nothing":       {status: http.StatusOK},
		"masked":        {deliver: "masked", status: http.StatusOK, want: call.Masked},
		"wrapped":       {deliver: "wrapped", status: http.StatusOK, want: call.Wrapped},
		"wrap TTL":      {wrap: "60s", status: http.StatusOK, want: call.Wrapped, ttl: time.Minute},
		"seconds":       {deliver: "wrapped", wrap: "90", status: http.StatusOK, want: call.Wrapped, ttl: 90 * time.Second},
		"unknown form":  {deliver: "Masked", status: http.StatusBadRequest},
		"contradiction": {deliver: "plain", wrap: "60s", status: http.StatusBadRequest},
		"no duration":   {wrap: "soon", status: http.StatusBadRequest},
		"zero":          {wrap: "0", status: http.StatusBadRequest},
		"negative":      {wrap: "-60s", status: http.StatusBadRequest},
		"too long":      {wrap: "25h", status: http.StatusBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url, got := server(t, nil)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/secrets/app", nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range map[string]string{"X-Portcullis-Deliver": tc.deliver, "X-Vault-Wrap-TTL": tc.wrap} {
				if v != "" {
					req.Header.Set(k, v)
				}
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tc.status || got.Deliver != tc.want || got.WrapTTL != tc.ttl {
				t.Errorf("got status %d, %q, %v; want %d, %q, %v", resp.StatusCode, got.Deliver, got.WrapTTL, tc.status, tc.want, tc.ttl)
			}
		})
	}
}
